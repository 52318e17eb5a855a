"""What the operator keeps of the API server's objects: a few fields each, so that tens of thousands fit.

Others write these objects, and :mod:`clipfarm.cluster.api.owners` says whose one is. A field that makes no sense is
unknown; an object that cannot be read at all is left out (:mod:`clipfarm.cluster.api.store`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from clipfarm.cluster.api.owners import COUNT, RunKey, controller, owning_run, run_key
from clipfarm.manifests.common import Manifest
from clipfarm.manifests.job import CONTAINER
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import (
    ASKED_ANNOTATION,
    ATTEMPT_ANNOTATION,
    CLIPS_PER_POD_ANNOTATION,
    ENCODE_ATTEMPT_ANNOTATION,
    ONLY_ANNOTATION,
    RESULTS_ANNOTATION,
    TEMPLATE_ANNOTATION,
)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it is asked for; two that differ only in their status are equal."""

    run: RunKey
    uid: str
    generation: int
    labels: dict[str, str]
    only: str
    """The clips that are left to make; empty: all."""
    attempt: str
    encode_attempt: str
    deleting: bool
    document: Manifest = field(compare=False)


@dataclass(frozen=True, slots=True)
class JobView:
    """A run's Job."""

    run: RunKey
    uid: str
    owner: str
    """UID of its run; empty if it has none."""
    parallelism: int
    suspended: bool
    deleting: bool
    attempt: str
    completed: Indexes
    failed: Indexes
    ended: bool = False
    """Whether its controller has nothing left to do for it."""
    complete: bool = False
    """Whether it has ended well."""
    results: str = ""
    """What pods that were deleted have left, as text."""
    clips_per_pod: int | None = None
    """Clips that each of its pods makes; None: it does not say."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """A run's encoders."""

    run: RunKey
    uid: str
    owner: str
    """UID of its run; empty if it has none."""
    replicas: int
    template: str
    """Hash of the pod template as it was meant."""
    asked: str = ""
    """Hash of what the run asked for when the template was made; empty: an operator of 0.1.0 made it."""
    refusal: str = ""
    """Why the API server takes none of its pods, in its own words."""


@dataclass(frozen=True, slots=True)
class ReplicaSetView:
    """What a Deployment of encoders makes its pods by."""

    run: RunKey
    uid: str
    owner: str
    """UID of its Deployment."""


def run(manifest: Manifest) -> RunView:
    """Return a view of a run."""
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations", {})
    return RunView(
        run=(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata["generation"],
        labels=metadata.get("labels", {}),
        only=annotations.get(ONLY_ANNOTATION, ""),
        attempt=annotations.get(ATTEMPT_ANNOTATION, ""),
        encode_attempt=annotations.get(ENCODE_ATTEMPT_ANNOTATION, ""),
        deleting="deletionTimestamp" in metadata,
        document=manifest,
    )


def job(manifest: Manifest) -> JobView | None:
    """Return a view of a run's Job."""
    key = run_key(manifest)
    if key is None:
        return None
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status", {})
    return JobView(
        run=key,
        uid=metadata["uid"],
        owner=owning_run(manifest),
        parallelism=spec.get("parallelism", 1),
        suspended=bool(spec.get("suspend")),
        deleting="deletionTimestamp" in metadata,
        attempt=metadata.get("annotations", {}).get(ATTEMPT_ANNOTATION, ""),
        completed=Indexes.parse(status.get("completedIndexes", "")),
        failed=Indexes.parse(status.get("failedIndexes", "")),
        ended=any(
            each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in status.get("conditions", ())
        ),
        complete=any(each["type"] == "Complete" and each["status"] == "True" for each in status.get("conditions", ())),
        results=metadata.get("annotations", {}).get(RESULTS_ANNOTATION, ""),
        clips_per_pod=clips_per_pod(manifest),
        name=metadata["name"],
    )


def clips_per_pod(manifest: Mapping[str, Any]) -> int | None:
    """Return how many clips each pod of a Job makes, as the Job records it; None if it does not say.

    An operator that recorded nothing named the number to the pods alone.
    """
    recorded = manifest["metadata"].get("annotations", {}).get(CLIPS_PER_POD_ANNOTATION, "")
    number = recorded if COUNT.fullmatch(recorded) else _count_argument(manifest)
    return int(number) if COUNT.fullmatch(number) and int(number) else None


def _count_argument(manifest: Mapping[str, Any]) -> str:
    pod: Manifest = manifest["spec"].get("template", {}).get("spec", {})
    containers: list[Manifest] = pod.get("containers", [])
    arguments = [text for each in containers if each["name"] == CONTAINER for text in each.get("args", ())]
    return next((value for name, value in pairwise(arguments) if name == "--count"), "")


def deployment(manifest: Manifest) -> DeploymentView | None:
    """Return a view of a run's encoders."""
    key = run_key(manifest)
    if key is None:
        return None
    return DeploymentView(
        run=key,
        uid=manifest["metadata"]["uid"],
        owner=owning_run(manifest),
        replicas=manifest["spec"].get("replicas", 1),
        template=manifest["metadata"].get("annotations", {}).get(TEMPLATE_ANNOTATION, ""),
        asked=manifest["metadata"].get("annotations", {}).get(ASKED_ANNOTATION, ""),
        refusal=_refusal(manifest.get("status", {})),
    )


def replica_set(manifest: Manifest) -> ReplicaSetView | None:
    """Return a view of what a Deployment makes pods by."""
    key = run_key(manifest)
    return ReplicaSetView(key, manifest["metadata"]["uid"], controller(manifest)) if key else None


def _refusal(status: Manifest) -> str:
    """Return what kept a ReplicaSet of a Deployment from making pods."""
    for condition in status.get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))
    return ""

"""What the operator keeps of the API server's objects: a few fields each, so that tens of thousands fit.

Others write these objects. A label only helps to find one; whose it is says the chain of owners' UIDs, from a pod over
its Job, or its ReplicaSet and Deployment, to the run. A field that makes no sense is unknown; an object that cannot be
read at all is left out (:mod:`clipfarm.cluster.api.store`).
"""

import re
from dataclasses import dataclass, field

from clipfarm.cluster.api.pod_states import Reported, reported
from clipfarm.cluster.api.times import read_time
from clipfarm.decide.starting import PASSING
from clipfarm.manifests import encoder
from clipfarm.manifests.common import Manifest
from clipfarm.manifests.job import CONTAINER
from clipfarm.run import KIND
from clipfarm.world import EarlyEnd, GpuId
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import (
    ASKED_ANNOTATION,
    ATTEMPT_ANNOTATION,
    ENCODE_ATTEMPT_ANNOTATION,
    GATE,
    ONLY_ANNOTATION,
    RESULTS_ANNOTATION,
    RUN_LABEL,
    TEMPLATE_ANNOTATION,
    Gpu,
    Placement,
)

RunKey = tuple[str, str]
"""Namespace and name of a run."""

ON_ITS_WAY = Reported("Released")
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
COUNT = re.compile(r"[0-9]{1,9}")
"""A number that the Job controller writes into an annotation: an index, or a count of failures."""


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
class PodView:
    """A renderer's pod that has not ended."""

    name: str
    uid: str
    run: RunKey
    owner: str
    """UID of its Job."""
    index: int
    gate: int | None
    """Where clipfarm's gate is among the pod's gates; None where it is off."""
    node: str
    gpu: GpuId | None
    """Which GPU it was let onto."""
    reported: Reported = ON_ITS_WAY
    sent_to: str = ""
    """The node that it was narrowed to."""
    began: float | None = None
    """When its renderer began, Unix time by the node's clock; None: not yet."""
    deleting: bool = False
    elsewhere: bool = False
    """Whether it may go to a node alone that was not there when its gate was taken off."""
    affinity: Manifest | None = field(default=None, hash=False)
    """Its affinity, where it has one: an admission policy of the cluster may give pods theirs."""

    @property
    def never_to_run(self) -> bool:
        """Whether it was deleted before a node had it: it is there for some seconds more, and does nothing."""
        return self.deleting and not self.node

    @property
    def gated(self) -> bool:
        """Whether clipfarm still holds it."""
        return self.gate is not None

    @property
    def trouble(self) -> str:
        """What keeps it from running, if a person has to act on it; empty while it is on its way, or runs."""
        found = self.reported
        if found.state not in ("Released", "Starting") or found.reason in PASSING:
            return ""
        return found.message if found.reason == "Unschedulable" else f"{found.reason}: {found.message}"


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
    results: str = ""
    """What pods that were deleted have left, as text."""
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


@dataclass(frozen=True, slots=True)
class EncoderPod:
    """A pod of a run's encoders."""

    name: str
    uid: str
    run: RunKey
    owner: str
    """UID of its ReplicaSet."""
    address: str
    """Empty before it runs."""
    restarts: int
    last_end: EarlyEnd | None
    """How its container ended the last time."""
    reported: Reported = ON_ITS_WAY
    node: str = ""
    ready: bool = False
    """Whether its container answers its readiness probe."""
    ended: bool = False
    """Whether the pod as a whole is over: evicted, or its node is gone."""


def run_key(manifest: Manifest) -> RunKey | None:
    """Return the run that an object belongs to, by its label."""
    metadata = manifest["metadata"]
    name = metadata.get("labels", {}).get(RUN_LABEL)
    return (metadata["namespace"], name) if name else None


def controller(manifest: Manifest) -> str:
    """Return the UID of what an object was made for."""
    references = manifest["metadata"].get("ownerReferences", ())
    return next((str(reference["uid"]) for reference in references if reference.get("controller")), "")


def owning_run(manifest: Manifest) -> str:
    """Return the UID of the run that an object was made for; empty if it was made for none."""
    references = manifest["metadata"].get("ownerReferences", ())
    kinds = {reference["uid"]: reference.get("kind") for reference in references if reference.get("controller")}
    uid = controller(manifest)
    return uid if kinds.get(uid) == KIND else ""


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


def pod(manifest: Manifest) -> PodView | None:
    """Return a view of a renderer's pod; None where it is no pod of an Indexed Job.

    Raises:
        ValueError: its index is no number.
    """
    metadata, spec = manifest["metadata"], manifest["spec"]
    annotations = metadata.get("annotations", {})
    key, index = run_key(manifest), index_of(annotations)
    if key is None or index is None:
        return None
    placement = Placement.parse(annotations)
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        run=key,
        owner=controller(manifest),
        index=index,
        gate=gate_of(spec),
        node=spec.get("nodeName", ""),
        gpu=_gpu(placement.gpu),
        reported=reported(manifest, CONTAINER),
        sent_to=placement.node,
        began=_began(manifest.get("status", {})),
        deleting="deletionTimestamp" in metadata,
        elsewhere=placement.new_node,
        affinity=spec.get("affinity"),
    )


def index_of(annotations: Manifest) -> int | None:
    """Return which index of its Job a pod is for; None where it is for none.

    Raises:
        ValueError: the annotation is there, and is no number.
    """
    text = annotations.get(INDEX_ANNOTATION)
    if text is None:
        return None
    if not COUNT.fullmatch(text):
        raise ValueError(f'annotation {INDEX_ANNOTATION}: found "{text[:60]}", expected a number')
    return int(text)


def gate_of(spec: Manifest) -> int | None:
    """Return where clipfarm's gate is among a pod's; others have theirs."""
    names = [gate["name"] for gate in spec.get("schedulingGates", ())]
    return names.index(GATE) if GATE in names else None


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
        results=metadata.get("annotations", {}).get(RESULTS_ANNOTATION, ""),
        name=metadata["name"],
    )


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


def encoder_pod(manifest: Manifest) -> EncoderPod | None:
    """Return a view of a pod of a run's encoders."""
    key, metadata, status = run_key(manifest), manifest["metadata"], manifest.get("status", {})
    if key is None:
        return None
    statuses = status.get("containerStatuses", ())
    container: Manifest = next((each for each in statuses if each["name"] == encoder.CONTAINER), {})
    ended = container.get("lastState", {}).get("terminated") or container.get("state", {}).get("terminated")
    lines = ended.get("message", "").strip().splitlines() if ended else []
    return EncoderPod(
        name=metadata["name"],
        uid=metadata["uid"],
        run=key,
        owner=controller(manifest),
        address=status.get("podIP", "") if status.get("phase") == "Running" else "",
        restarts=container.get("restartCount", 0),
        reported=reported(manifest, encoder.CONTAINER, restarts=True),
        node=manifest["spec"].get("nodeName", ""),
        ready=container.get("ready", False),
        ended=status.get("phase") in ("Succeeded", "Failed"),
        last_end=EarlyEnd(ended["exitCode"], lines[-1] if lines else ended.get("reason", "")) if ended else None,
    )


def _refusal(status: Manifest) -> str:
    """Return what kept a ReplicaSet of a Deployment from making pods."""
    for condition in status.get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))
    return ""


def _began(status: Manifest) -> float | None:
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        found = state.get("running") or state.get("terminated")
        if container.get("name") == CONTAINER and found:
            return read_time(found.get("startedAt"))
    return None


def _gpu(gpu: Gpu | None) -> GpuId | None:
    return GpuId(gpu.node, gpu.index, gpu.uuid, gpu.instance) if gpu else None

"""What the operator keeps of pods, jobs and nodes: a few fields each, so that tens of thousands fit."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clipfarm.manifests.common import GATE, GPU_ANNOTATION, RUN_LABEL
from clipfarm.world import GpuId
from clipfarm_contract.exit_codes import ExitCode

Manifest = dict[str, Any]
RunKey = tuple[str, str]
"""Namespace and name of a run."""

INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
FAILURES_ANNOTATION = "batch.kubernetes.io/job-index-failure-count"


@dataclass(frozen=True, slots=True)
class PodView:
    """A renderer's pod that has not ended."""

    name: str
    uid: str
    run: RunKey
    index: int
    gated: bool
    node: str
    gpu: GpuId | None
    """Which GPU it was let onto."""
    created: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class FailedPod:
    """A renderer's pod that failed."""

    uid: str
    run: RunKey
    index: int
    exit_code: ExitCode
    reason: str
    ended: float
    """Unix time."""
    attempts: int
    """Which attempt at its index it was, the first is 1."""
    disrupted: bool
    """Evicted, or its node is gone: does not count as an attempt."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A run's Job."""

    run: RunKey
    uid: str
    parallelism: int
    suspended: bool
    deleting: bool
    completed: frozenset[int]
    failed: frozenset[int]


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """A run's encoders."""

    run: RunKey
    replicas: int
    ready: int


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node, as far as it decides where pods may go."""

    name: str
    cpus: int
    gpus: int
    """Of NVIDIA's, as its device plugin counts."""
    labels: dict[str, str]
    taints: tuple[tuple[str, str, str], ...]
    """Key, value and effect."""
    schedulable: bool


def run_key(manifest: Manifest) -> RunKey | None:
    """Return the run that an object belongs to, by its label."""
    metadata = manifest["metadata"]
    name = metadata.get("labels", {}).get(RUN_LABEL)
    return (metadata["namespace"], name) if name else None


def pod(manifest: Manifest) -> PodView | None:
    """Return a view of a renderer's pod; None where it is no pod of an Indexed Job."""
    metadata, spec = manifest["metadata"], manifest["spec"]
    annotations = metadata.get("annotations", {})
    key, index = run_key(manifest), annotations.get(INDEX_ANNOTATION)
    if key is None or index is None:
        return None
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        run=key,
        index=int(index),
        gated=any(gate["name"] == GATE for gate in spec.get("schedulingGates", ())),
        node=spec.get("nodeName", ""),
        gpu=_gpu(annotations.get(GPU_ANNOTATION)),
        created=unix_time(metadata["creationTimestamp"]),
    )


def failed_pod(manifest: Manifest) -> FailedPod | None:
    """Return a view of a renderer's pod that failed."""
    metadata, status = manifest["metadata"], manifest.get("status", {})
    annotations = metadata.get("annotations", {})
    key, index = run_key(manifest), annotations.get(INDEX_ANNOTATION)
    if key is None or index is None:
        return None
    states = [entry.get("state", {}).get("terminated") for entry in status.get("containerStatuses", ())]
    ended: Manifest = next((state for state in states if state), {})
    code = ended.get("exitCode", 1)
    disrupted = any(c["type"] == "DisruptionTarget" and c["status"] == "True" for c in status.get("conditions", ()))
    return FailedPod(
        uid=metadata["uid"],
        run=key,
        index=int(index),
        exit_code=ExitCode(code) if code in set(ExitCode) else ExitCode.FAILED,
        reason=_reason(ended, status),
        ended=unix_time(ended.get("finishedAt") or metadata["creationTimestamp"]),
        attempts=int(annotations.get(FAILURES_ANNOTATION, 0)) + 1,
        disrupted=disrupted,
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
        parallelism=spec.get("parallelism", 1),
        suspended=bool(spec.get("suspend")),
        deleting="deletionTimestamp" in metadata,
        completed=indexes(status.get("completedIndexes", "")),
        failed=indexes(status.get("failedIndexes", "")),
    )


def deployment(manifest: Manifest) -> DeploymentView | None:
    """Return a view of a run's encoders."""
    key = run_key(manifest)
    if key is None:
        return None
    return DeploymentView(key, manifest["spec"].get("replicas", 1), manifest.get("status", {}).get("readyReplicas", 0))


def node(manifest: Manifest) -> NodeView:
    """Return a view of a node."""
    metadata, spec = manifest["metadata"], manifest.get("spec", {})
    allocatable = manifest.get("status", {}).get("allocatable", {})
    return NodeView(
        name=metadata["name"],
        cpus=_cpus(allocatable.get("cpu", "0")),
        gpus=int(allocatable.get("nvidia.com/gpu", 0)),
        labels=metadata.get("labels", {}),
        taints=tuple((t["key"], t.get("value", ""), t["effect"]) for t in spec.get("taints", ())),
        schedulable=not spec.get("unschedulable", False),
    )


def indexes(text: str) -> frozenset[int]:
    """Return the numbers in a Job's compressed list, as ``1,3-5``."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def unix_time(text: str) -> float:
    """Return the seconds since 1970 of a time as the API server writes it."""
    return datetime.fromisoformat(text).timestamp()


def api_time(seconds: float) -> str:
    """Return a time as the API server writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def gpu_annotation(gpu: GpuId) -> str:
    """Return what a pod's annotation says of its GPU; :func:`pod` reads it back."""
    return json.dumps({"node": gpu.node, "index": gpu.index, "uuid": gpu.uuid})


def _gpu(annotation: str | None) -> GpuId | None:
    return GpuId(**json.loads(annotation)) if annotation else None


def _cpus(quantity: str) -> int:
    return int(quantity.removesuffix("m")) // 1000 if quantity.endswith("m") else int(quantity)


def _reason(ended: Manifest, status: Manifest) -> str:
    """Return why a pod failed: what the supervisor left as its last message, or what the kubelet saw."""
    if ended.get("reason") == "OOMKilled":
        return "the kernel ended the pod: it took more memory than render.memory allows"
    message = ended.get("message", "")
    try:
        clips = json.loads(message)["clips"]
        reasons = [clip["reason"] for clip in clips if clip["reason"]]
    except (ValueError, KeyError, TypeError):
        reasons = []
    if reasons:
        return "; ".join(dict.fromkeys(reasons))
    if message.strip():
        return str(message).strip().splitlines()[-1]
    if status.get("message"):
        return str(status["message"])
    return f"exit status {ended['exitCode']}" if "exitCode" in ended else str(status.get("reason", "the pod failed"))

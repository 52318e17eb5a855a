"""What the operator keeps of a run's pods: renderers' that have not ended, and encoders'."""

from dataclasses import dataclass, field

from clipfarm.cluster.api.owners import RunKey, controller, index_of, run_key
from clipfarm.cluster.api.pod_states import Reported, reported
from clipfarm.cluster.api.requests import Requested, requests
from clipfarm.cluster.api.times import read_time
from clipfarm.decide.starting import PASSING
from clipfarm.manifests import encoder
from clipfarm.manifests.common import Manifest
from clipfarm.manifests.job import CONTAINER
from clipfarm.world import EarlyEnd, GpuId, Requests
from clipfarm_contract.objects import (
    ENCODE_ATTEMPT_ANNOTATION,
    GATE,
    Gpu,
    Placement,
)

ON_ITS_WAY = Reported("Released")


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
    """The GPU that it was sent to."""
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
    requests: Requests = ()
    priority: int = 0
    preempts: bool = True
    """Whether the scheduler may end pods of a lower priority for it."""

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
        return trouble(self.reported)


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
    """Whether the pod as a whole has ended: evicted, or its node is gone."""
    requests: Requests = ()
    priority: int = 0
    attempt: str = ""
    """Attempt at encoding that it was started for; empty: an operator of an earlier version made it."""


def trouble(found: Reported) -> str:
    """Return what keeps a pod from running, if a person has to act on it; empty while it is on its way, or runs."""
    if found.state not in ("Released", "Starting") or found.reason in PASSING:
        return ""
    return found.message if found.reason == "Unschedulable" else f"{found.reason}: {found.message}"


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
        requests=requests(manifest),
        priority=spec.get("priority") or 0,
        preempts=spec.get("preemptionPolicy") != "Never",
    )


def requested_by_renderer(pod: PodView) -> Requested | None:
    """Return what a renderer's pod requests of the node that it has, or was sent to; None if it has none."""
    node = pod.node or ("" if pod.gated or pod.deleting else pod.sent_to)
    return Requested(node, pod.requests, pod.priority, pod.run) if node else None


def requested_by_encoder(pod: EncoderPod) -> Requested | None:
    """Return what an encoder's pod requests of its node; None if it has none, or has ended."""
    return Requested(pod.node, pod.requests, pod.priority) if pod.node and not pod.ended else None


def gate_of(spec: Manifest) -> int | None:
    """Return where clipfarm's gate is among a pod's; others have theirs."""
    names = [gate["name"] for gate in spec.get("schedulingGates", ())]
    return names.index(GATE) if GATE in names else None


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
        requests=requests(manifest),
        priority=manifest["spec"].get("priority") or 0,
        attempt=metadata.get("annotations", {}).get(ENCODE_ATTEMPT_ANNOTATION, ""),
    )


def _began(status: Manifest) -> float | None:
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        found = state.get("running") or state.get("terminated")
        if container.get("name") == CONTAINER and found:
            return read_time(found.get("startedAt"))
    return None


def _gpu(gpu: Gpu | None) -> GpuId | None:
    return GpuId(gpu.node, gpu.index, gpu.uuid, gpu.instance) if gpu else None

"""Pods that were released and do not start: which of them are reported, and in which words."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from clipfarm.decide.admission import Held
from clipfarm.decide.rules.rule import Hold
from clipfarm.world import Encoder, Running, Standing, World

P = TypeVar("P", Running, Encoder, Running | Encoder)

SLOW_SECONDS = 120.0
"""A pod that does not start for so long causes a warning. Until then it is on its way: an image of several GB is
pulled, a node is added, and the kubelet gives a volume two minutes before it reports a timeout."""
ROOM_SECONDS = 5.0
"""A pod that finds no room for so long is reported. The scheduler tries a pod before it knows that its predecessor has
ended, and again as soon as it knows."""

READY_SECONDS = 15.0
"""After its start, a pod's first readiness probe takes a moment; and it is asked every 10 s."""


class PodReason(StrEnum):
    """Why pods do not start, in a word of the scheduler, the kubelet or the operator."""

    UNSCHEDULABLE = "Unschedulable"
    SCHEDULING_GATED = "SchedulingGated"
    SCHEDULER_ERROR = "SchedulerError"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    ERR_IMAGE_NEVER_PULL = "ErrImageNeverPull"
    INVALID_IMAGE_NAME = "InvalidImageName"
    CREATE_CONTAINER_CONFIG_ERROR = "CreateContainerConfigError"
    CREATE_CONTAINER_ERROR = "CreateContainerError"
    RUN_CONTAINER_ERROR = "RunContainerError"
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    PULLING = "Pulling"
    INIT_FAILED = "InitFailed"
    INITIALIZING = "Initializing"
    FAILED_MOUNT = "FailedMount"
    FAILED_ATTACH_VOLUME = "FailedAttachVolume"
    FAILED_CREATE_POD_SAND_BOX = "FailedCreatePodSandBox"
    COMPILING_KERNELS = "CompilingKernels"
    SIDECAR_RUNS = "SidecarRuns"
    NODE_SILENT = "NodeSilent"
    NODE_LOST = "NodeLost"
    SLOW_START = "SlowStart"
    PODS_WAIT = "PodsWait"
    """All other words; the message has them."""
    PODS_REFUSED = "PodsRefused"
    """The API server refuses the pods, so there are none."""


OTHER = PodReason.PODS_WAIT
WORDS = tuple(reason for reason in PodReason if reason not in (PodReason.PODS_WAIT, PodReason.PODS_REFUSED))
"""Words that stand as reasons of their own."""
HINTS = {
    "ImagePullBackOff": "check the image's name, its registry, and imagePullSecrets",
    "Pulling": "it goes on; a local registry makes it faster",
    "ErrImageNeverPull": "load the image into the node, or set the chart's images.pullPolicy",
    "InvalidImageName": "correct the image's name",
    "FailedMount": "look at the volume claim with `kubectl describe pvc`",
    "FailedAttachVolume": "look at the volume claim with `kubectl describe pvc`",
    "FailedCreatePodSandBox": "check runtimeClassName, and the container runtime of the node",
    "CompilingKernels": "a render image with kernels for it (`tools/images --kernels`) spares the minutes",
    "SidecarRuns": "make it a native sidecar, or keep it out of these pods",
    "NodeSilent": "Kubernetes deletes the node's pods after a delay of its own, five minutes by default",
}
"""What to do, for words that suffice to know it."""
UNSCHEDULABLE = (
    (
        "unbound immediate PersistentVolumeClaims",
        "no volume is there for the claim: look at it with `kubectl describe pvc`",
    ),
    ("persistentvolumeclaim", "create the volume claim, or look at it with `kubectl describe pvc`"),
    ("Insufficient", "add a node, or ask for less"),
    ("untolerated taint", "add a toleration to the run's pod options"),
    ("node affinity/selector", "compare the run's nodeSelector with the nodes' labels"),
)
"""What to do, by a part of the scheduler's message; the first match counts."""
WHOLE = ("Unschedulable", "SchedulingGated", "CompilingKernels", "SidecarRuns", "NodeSilent", "NodeLost")
"""Words whose messages are complete without them."""
PASSING = ("", "SchedulingGated", "Pulling", "Initializing", "CompilingKernels", "Deleted", "ContainerStatusUnknown")
"""Words of a pod that most likely proceeds by itself. After ``SLOW_SECONDS`` they are reported, too."""


def word(standing: Standing) -> PodReason:
    """Return why a pod does not start, in one word for programs."""
    reason = standing.reason or "SlowStart"
    return PodReason(reason) if reason in WORDS else OTHER


def sentence(standing: Standing) -> str:
    """Return why a pod does not start, and what to do if that is known."""
    if not standing.message:
        return standing.reason or "neither the scheduler nor the kubelet says why"
    hint = HINTS.get(standing.reason, "")
    if standing.reason == "Unschedulable":
        hint = next((what for text, what in UNSCHEDULABLE if text in standing.message), "")
    whole = standing.message if standing.reason in WHOLE else f"{standing.reason}: {standing.message}"
    return f"{whole}; {hint}" if hint else whole


def _not_at_work(pods: Iterable[P]) -> list[P]:
    """Return the few pods, of possibly thousands, that are not at work."""
    return [pod for pod in pods if pod.standing.state != "Working" or pod.standing.reason]


def is_slow(pod: Running | Encoder, now: float) -> bool:
    """Tell whether a pod has not got to work for so long that it is reported."""
    if pod.state == "Lost":
        return True
    waits = pod.state in ("Released", "Bound", "Starting") or pod.standing.reason in ("SidecarRuns", "NodeSilent")
    return waits and now >= pod.since + SLOW_SECONDS


def compiles(pod: Running | Encoder, now: float) -> bool:
    """Tell whether a renderer compiles kernels, which takes minutes; it may not have been asked before."""
    return pod.standing.reason == "CompilingKernels" and now >= pod.since + READY_SECONDS


def _in_trouble(pod: Running | Encoder, now: float) -> bool:
    if pod.standing.reason == "Unschedulable":
        return now >= pod.since + ROOM_SECONDS
    return pod.standing.reason not in PASSING or is_slow(pod, now)


def troubles(pods: Iterable[Running | Encoder], now: float) -> tuple[Standing, ...]:
    """Return the states of pods that do not start by themselves, the one that waits longest first."""
    found = [pod.standing for pod in _not_at_work(pods) if _in_trouble(pod, now)]
    return tuple(sorted(found, key=lambda standing: standing.since))


def held(world: World) -> tuple[Held, ...]:
    """Return clips whose pods have not got to work for long, or compile kernels first, by what keeps them."""
    groups: dict[PodReason, list[Running]] = {}
    for pod in (*_not_at_work(world.running), *world.lost):
        if is_slow(pod, world.now) or compiles(pod, world.now):
            groups.setdefault(word(pod.standing), []).append(pod)
    found = []
    for reason, pods in groups.items():
        longest = min(pods, key=lambda pod: pod.since)
        indexes = tuple(sorted(pod.index for pod in pods))
        found.append(Held(Hold(reason, slow_sentence(len(pods), longest.standing)), indexes))
    return tuple(found)


def refused(world: World) -> tuple[Held, ...]:
    """Return clips whose pods the API server refuses."""
    if not world.refused:
        return ()
    return (
        Held(Hold(PodReason.PODS_REFUSED, f"the API server refuses the run's pods: {world.refusal}"), world.refused),
    )


def slow_sentence(pods: int, longest: Standing) -> str:
    """Return the message about pods that have not got to work for long."""
    if longest.state == "Lost" or longest.reason in ("CompilingKernels", "SidecarRuns", "NodeSilent"):
        return f"{'1 pod' if pods == 1 else f'{pods} pods'}: {sentence(longest)}"
    have = "1 pod has" if pods == 1 else f"{pods} pods have"
    return f"{have} been {longest.state} for more than {SLOW_SECONDS / 60:.0f} minutes: {sentence(longest)}"

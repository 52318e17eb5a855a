"""``status`` of a BenchmarkRun: what ``kubectl get`` and ``kubectl describe`` show."""

from typing import Any, Literal

from pydantic import Field

from clipfarm.model import Labels
from clipfarm.status_parts import (
    Condition,
    ExportStatus,
    FailedClips,
    GpuCounts,
    GpuMemory,
    HeldClips,
    Made,
    PodCounts,
    SetCount,
    SlowNodes,
    VideoCounts,
)

LOOK_FOR_OPERATOR = "`kubectl get deployments -A -l app.kubernetes.io/component=operator` shows whether one runs"

UNSEEN: dict[str, Any] = {
    "phase": "Pending",
    "observedGeneration": -1,
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "NotSeen",
            "message": "no operator has looked at this run yet; if that lasts, none runs, or none watches this"
            f" namespace: {LOOK_FOR_OPERATOR}",
            # A default is a constant; no controller has written a time yet.
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "observedGeneration": 0,
        }
    ],
}
"""The status of a run that no operator has seen: tools that know conditions see it as unfinished, not as done."""


class RunStatus(Made):
    """Counters and reasons."""

    phase: Literal[
        "Pending",
        "Running",
        "Waiting",
        "Encoding",
        "Suspended",
        "Succeeded",
        "CompletedWithFailures",
        "Failed",
        "Invalid",
    ]
    """Phase of the run. Waiting: nothing runs, and something holds it back."""
    reason: str = ""
    """Most important reason now, in one word; empty if the phase says everything."""
    observed_generation: int = Field(ge=-1)
    """Generation of the run that this describes; -1 before an operator has seen the run."""
    observed_at: str | None = None
    """Time when an operator last wrote this status: at least every two minutes while the run is unfinished."""
    total: int | None = Field(default=None, ge=0)
    """Number of clips that the run asks for. Of a run of videos the number that these give; absent until they are
    listed."""
    rendered: int | None = Field(default=None, ge=0)
    """Number of complete clips; absent if the run renders none."""
    encoded: int = Field(ge=0)
    """Number of clips with features; with several sets, of clips that have every set."""
    videos: VideoCounts | None = None
    """Videos of a run with a source, once they are listed."""
    features: tuple[SetCount, ...] = Field(default=(), strict=False)
    """Clips of each set of features, if the run lists sets."""
    failed: int = Field(ge=0)
    """Number of clips that have failed, without another attempt to come."""
    workers: int | None = Field(default=None, ge=1)
    """Number of clips that may run at a time. If the run does not set it, the first node that fits decides it."""
    running: int = Field(ge=0)
    """Number of pods that occupy a worker: rendering or starting."""
    pods: PodCounts = PodCounts()
    """Renderers' pods by state."""
    held: tuple[HeldClips, ...] = Field(default=(), strict=False)
    """Clips that could run now by what holds them, even while others run; the largest groups if there are many."""
    held_clips: int = Field(default=0, ge=0)
    """Number of all held clips."""
    identical_nodes: Labels | None = None
    """Labels of the nodes that all clips are made on, if the run requires identical nodes."""
    retried: int = Field(ge=0)
    """Number of clips that ended with 2 (out of GPU memory) and wait for another attempt."""
    eta: str = ""
    """Time left, if it is known."""
    completion_time: str | None = None
    """Time when the run ended."""
    render_attempt: str | None = None
    """Attempt at rendering that this status describes, if `clipfarm retry` asked for one."""
    encode_attempt: str | None = None
    """Last attempt at encoding that was begun, if `clipfarm retry` asked for one."""
    gpus: tuple[GpuMemory, ...] = Field(default=(), strict=False)
    """Memory of the GPUs that the run may use. Of more than 32, closed ones come first, then unknown ones, then those
    with the most claims. All others are listed, without claims, if they are closed, or if the run does not hold clips
    while memory is unknown."""
    gpu_counts: GpuCounts | None = None
    """Number of GPUs that the run may use, if it renders on GPUs."""
    export: ExportStatus | None = None
    """The data set that is made when the run has ended, if the run asks for one."""
    slow: tuple[SlowNodes, ...] = Field(default=(), strict=False)
    """What makes clips on GPUs slower than they could be, by the nodes where pods have found it, and what to do."""
    failures: tuple[FailedClips, ...] = Field(default=(), strict=False)
    """Failed clips by reason; the most frequent reasons if there are many."""
    conditions: tuple[Condition, ...] = Field(default=(), strict=False)
    """Conditions of the run: what is wrong, and what to do."""

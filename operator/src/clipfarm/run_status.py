"""``status`` of a BenchmarkRun: what ``kubectl get`` and ``kubectl describe`` show."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from clipfarm.model import Model
from clipfarm_contract.text import printable

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


class _Made(Model):
    """Made here, by the names that the fields have here, and never read."""

    model_config = ConfigDict(validate_by_name=True)

    @field_validator("*", mode="before")
    @classmethod
    def _shown(cls, value: object) -> object:
        """Write out what a terminal would obey: reasons come from users' programs, and people print them."""
        return printable(value) if isinstance(value, str) else value


class Condition(_Made):
    """One aspect of a run, true, false or unknown, with what a person can do about it."""

    type: Literal[
        "Ready",
        "Progressing",
        "VRAMHeld",
        "StorageReady",
        "EncoderReady",
        "NodeLost",
        "Complete",
        "Failed",
        "Stalled",
        "Reconciling",
    ]
    """Which aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str
    """Why, in one word for programs."""
    message: str
    """Why, and what to do, in a sentence for people."""
    last_transition_time: str
    """When the status changed last."""
    observed_generation: int = Field(ge=0)
    """The generation of the run that this was found for."""


class GpuMemory(_Made):
    """Memory of one GPU, as it was measured."""

    node: str
    """The GPU's node."""
    gpu: str
    """Its number on the node."""
    uuid: str = ""
    """The driver's own name for it, with the number of an instance (MIG) behind a slash."""
    used: str
    """Used memory in percent of the whole, or unknown."""
    total: str | None = None
    """Memory that may be allocated, where the use is known."""
    reading: str
    """How old the reading was when this was written, or why there is none."""
    measured_at: str | None = None
    """When the use was measured."""
    held_by: str | None = None
    """Who has the memory, the largest shares first, where the source of the reading tells."""
    gate: Literal["Open", "Closed"]
    """Whether its use was above vram.high, and has not been below vram.low since: then no clip starts on it."""


class FailedClips(_Made):
    """Clips that failed for the same reason."""

    clips: str
    """As ranges: 1,3-5."""
    stage: Literal["render", "encode"]
    """What could not be done with them."""
    reason: str
    """Why."""


class HeldClips(_Made):
    """Clips that could be made now, and what holds them."""

    reason: str
    """Why, in one word for programs."""
    clips: str
    """As ranges: 1,3-5."""
    count: int = Field(ge=0)
    """How many clips these are."""
    message: str
    """Why, and what to do, in a sentence for people."""


class PodCounts(_Made):
    """Renderers' pods by state."""

    gated: int = Field(default=0, ge=0)
    """Held at clipfarm's scheduling gate."""
    released: int = Field(default=0, ge=0)
    """Without the gate, and without a node yet."""
    bound: int = Field(default=0, ge=0)
    """On a node whose kubelet has not taken them up."""
    starting: int = Field(default=0, ge=0)
    """Taken up by a kubelet, which pulls images, mounts volumes and creates containers."""
    working: int = Field(default=0, ge=0)
    """Whose renderer runs."""
    ending: int = Field(default=0, ge=0)
    """Being deleted, or kept alive by another container after their work is over."""
    lost: int = Field(default=0, ge=0)
    """Being deleted on a node that has not answered for longer than retry.lostAfter."""


class RunStatus(_Made):
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
    """Where the run stands. Waiting: nothing runs, and something holds it."""
    reason: str = ""
    """What is so at the moment, in one word; empty if the phase says all."""
    observed_generation: int = Field(ge=-1)
    """The generation of the run that this was found for; -1 before an operator has looked at the run."""
    observed_at: str | None = None
    """When an operator last wrote this status; while a run is unfinished that is at least every two minutes."""
    total: int = Field(ge=0)
    """Clips that the run asks for."""
    rendered: int = Field(ge=0)
    """Clips that are complete."""
    encoded: int = Field(ge=0)
    """Clips with features."""
    failed: int = Field(ge=0)
    """Clips that failed for good."""
    workers: int | None = Field(default=None, ge=1)
    """Clips that may run at a time. If the run does not say, it is settled when the first node fits; absent before."""
    running: int = Field(ge=0)
    """Pods that take a worker: at work, or on their way."""
    pods: PodCounts = PodCounts()
    """Renderers' pods by state."""
    held: tuple[HeldClips, ...] = Field(default=(), strict=False)
    """Clips that could run now, by what holds them, whether or not others run; the largest groups if there are many."""
    held_clips: int = Field(default=0, ge=0)
    """How many clips that are in all."""
    retried: int = Field(ge=0)
    """Clips that ended with 2 (GPU memory) and wait for another try."""
    eta: str = ""
    """Time left, as far as it is known."""
    completion_time: str | None = None
    """When the run was finished."""
    render_attempt: str | None = None
    """The attempt at rendering that this status tells of, where `clipfarm retry` asked for one."""
    encode_attempt: str | None = None
    """The last attempt at encoding that was begun, where `clipfarm retry` asked for one."""
    gpus: tuple[GpuMemory, ...] = Field(default=(), strict=False)
    """Memory of each GPU that the run may use."""
    failures: tuple[FailedClips, ...] = Field(default=(), strict=False)
    """Failed clips by reason; the most frequent reasons where there are many."""
    conditions: tuple[Condition, ...] = Field(default=(), strict=False)
    """What is the matter, and what to do."""

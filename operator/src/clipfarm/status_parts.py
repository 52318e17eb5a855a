"""Parts of the ``status`` of a BenchmarkRun: conditions, GPUs, clips, pods, videos and the export."""

from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from clipfarm.model import Model
from clipfarm_contract.feature_sets import MOST_SET_NAME
from clipfarm_contract.text import printable


class Made(Model):
    """Built by the fields' own names, and never parsed."""

    model_config = ConfigDict(validate_by_name=True)

    @field_validator("*", mode="before")
    @classmethod
    def _shown(cls, value: object) -> object:
        """Write out control characters: reasons come from users' programs, and people print them."""
        return printable(value) if isinstance(value, str) else value


class Condition(Made):
    """One aspect of a run: true, false or unknown, and what a person can do about it."""

    type: Literal[
        "Ready",
        "Progressing",
        "VRAMHeld",
        "StorageReady",
        "EncoderReady",
        "NodeLost",
        "Exported",
        "Complete",
        "Failed",
        "Stalled",
        "Reconciling",
    ]
    """Name of the aspect."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    reason: str
    """Reason in one word, for programs."""
    message: str
    """Reason and what to do, in a sentence for people."""
    last_transition_time: str
    """Time of the last change of the status."""
    observed_generation: int = Field(ge=0)
    """Generation of the run that this describes."""


class GpuClaim(Made):
    """GPU memory that clips of one run will take, and that no reading surely shows yet."""

    run: str
    """Namespace and name of the run; for its encoders, with (encoder) behind it."""
    clips: int = Field(ge=1)
    """Number of these clips or encoders."""
    memory: str
    """Memory that they are expected to take, or unknown."""
    since: str | None = None
    """Time when the first of them began."""


class GpuMemory(Made):
    """Memory of one GPU, as it was measured."""

    node: str
    """Node of the GPU."""
    gpu: str
    """Number of the GPU on the node."""
    uuid: str = ""
    """UUID of the GPU; the number of an instance (MIG) follows a slash."""
    used: str
    """Used memory in percent of the whole, or unknown."""
    total: str | None = None
    """Memory that programs may allocate, if the use is known."""
    reading: str
    """Age of the reading when this was written, or why there is none."""
    measured_at: str | None = None
    """Time of the measurement."""
    held_by: str | None = None
    """Programs that have the memory, the largest shares first, if the source of the reading reports them."""
    claims: tuple[GpuClaim, ...] = Field(default=(), strict=False)
    """Memory that clips of all runs claim on the GPU, the largest claims first."""
    gate: Literal["Open", "Closed"]
    """Closed: its use was above vram.high and has not been below vram.low since, so no clip starts on it."""


class GpuCounts(Made):
    """GPUs that a run may use."""

    total: int = Field(ge=0)
    """Number of GPUs."""
    closed: int = Field(ge=0)
    """Number of these that are closed, so that no clip starts on them."""
    unknown: int = Field(ge=0)
    """Number of these whose use is unknown."""


class FailedClips(Made):
    """Clips that failed for the same reason."""

    clips: str
    """Clips as ranges: 1,3-5."""
    stage: Literal["render", "encode"]
    """Stage that failed: render or encode."""
    reason: str
    """Why."""


class HeldClips(Made):
    """Clips that could be made now, and what holds them back."""

    reason: str
    """Reason in one word, for programs."""
    clips: str
    """Clips as ranges: 1,3-5."""
    count: int = Field(ge=0)
    """Number of these clips."""
    message: str
    """Reason and what to do, in a sentence for people."""


class SlowNodes(Made):
    """What makes clips slower on some nodes than they could be."""

    nodes: tuple[str, ...] = Field(strict=False)
    """Nodes, 20 at most."""
    message: str
    """What is slow there, and what to do."""


class PodCounts(Made):
    """Renderers' pods by state."""

    gated: int = Field(default=0, ge=0)
    """Held at clipfarm's scheduling gate."""
    released: int = Field(default=0, ge=0)
    """Without the gate, and without a node yet."""
    bound: int = Field(default=0, ge=0)
    """On a node, whose kubelet has not started them yet."""
    starting: int = Field(default=0, ge=0)
    """Being started by a kubelet, which pulls images, mounts volumes and creates containers."""
    working: int = Field(default=0, ge=0)
    """With a running renderer."""
    ending: int = Field(default=0, ge=0)
    """Being deleted, or kept alive by another container after their work is over."""
    lost: int = Field(default=0, ge=0)
    """Being deleted on a node that has not answered for longer than retry.lostAfter."""


ExportPhase = Literal["Waiting", "Pending", "Running", "Succeeded", "Failed"]


class ExportStatus(Made):
    """The data set that is made when the run has ended."""

    phase: ExportPhase
    """Phase. Waiting: the run has not ended; Pending: nothing is being written yet."""
    asked: str
    """Hash of what the run asked for when this was written: something else is another export."""
    format: str
    """Format."""
    destination: str
    """A folder on the run's volume, or an address."""
    clips: int | None = Field(default=None, ge=0)
    """Clips that are in it."""
    left_out: int | None = Field(default=None, ge=0)
    """Clips, and feature sets of clips, that are not in it; the message has the most frequent reasons."""
    files: int | None = Field(default=None, ge=0)
    """Number of its files."""
    bytes: int | None = Field(default=None, ge=0)
    """Size of its files."""
    message: str
    """What it came to, or what is in its way, in a sentence for people."""
    completion_time: str | None = None
    """Time when it was complete, or failed."""


class SetCount(Model):
    """Clips of a set of features."""

    name: str = Field(max_length=MOST_SET_NAME)
    """Name of the set."""
    encoded: int = Field(ge=0)
    """Number of clips that have it."""


class PassedOver(Made):
    """A video that gives no clip."""

    video: str
    """Path from the videos' folder."""
    reason: str
    """Why."""


class VideoCounts(Made):
    """Videos of a run with a source."""

    found: int = Field(ge=0)
    """Number of videos in the folder."""
    passed_over: int = Field(ge=0)
    """Number of these that give no clip."""
    reasons: tuple[PassedOver, ...] = Field(default=(), strict=False)
    """Why they give none; the first 20 by name."""

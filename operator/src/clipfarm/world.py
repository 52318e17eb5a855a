"""What a look at the world returns: one snapshot, from a cluster or from one machine.

A renderer is called a pod here in both places: in a cluster it is one, on one machine it is a process. All times
are seconds on one clock, which only the snapshot knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clipfarm_contract.exit_codes import ExitCode


@dataclass(frozen=True, slots=True, order=True)
class GpuId:
    """One GPU of one node, or one instance of it (MIG): node, UUID and instance tell any two apart."""

    node: str
    index: int
    """As the driver counts: in the order of the PCI bus."""
    uuid: str = ""
    instance: str = ""
    """Number of the GPU instance; empty: the GPU as a whole."""

    @property
    def number(self) -> str:
        """Return the index, with the instance's number behind a slash where there is one."""
        return f"{self.index}/{self.instance}" if self.instance else str(self.index)

    def __str__(self) -> str:
        return f"GPU {self.number} on {self.node}"


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that renders."""

    name: str
    cpus: int
    """CPUs that may be used there."""
    gpus: tuple[GpuId, ...] = ()
    gpu_problem: str = ""
    """Why its GPUs cannot be told, where that is so; empty where there are none or all are known."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has GPU memory in use."""

    name: str
    """A pod, as ``namespace/name``, or a process, as ``python (pid 4711)``."""
    used_mib: float | None = None
    """How much, where the source tells."""


@dataclass(frozen=True, slots=True)
class Reading:
    """GPU memory as it was measured."""

    gpu: GpuId
    used_mib: float
    total_mib: float
    """What may be allocated: without the part that the driver keeps for itself, where it says so."""
    at: float
    """When it was measured, or told of."""
    lag: float = 0.0
    """How much older than ``at`` the values may be, seconds: an exporter tells what it last collected."""
    holders: tuple[Holder, ...] = ()
    """Who uses it, the largest share first, as far as the source tells: empty is unknown, not nobody."""

    @property
    def used_fraction(self) -> float:
        """Used memory as a part of the whole."""
        return self.used_mib / self.total_mib


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether new pods may start on a GPU, with its hysteresis: the one thing that a tick hands to the next."""

    gpu: GpuId
    closed: bool
    """Use went above ``high`` and has not been below ``low`` since; kept while the use is unknown."""
    reading: Reading | None
    """The newest reading that is fresh; None: unknown."""
    problem: str = ""
    """Why there is no fresh reading."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A clip whose last attempt did not complete it."""

    clip: int
    exit_code: ExitCode
    reason: str
    at: float
    attempts: int
    """How many attempts there were, this one included."""
    final: bool = False
    """There will be no other, whatever the rules say."""


@dataclass(frozen=True, slots=True)
class Running:
    """A pod at work."""

    clip: int
    node: str
    gpu: GpuId | None
    started_at: float


@dataclass(frozen=True, slots=True)
class EarlyEnd:
    """An encoder that ended before its work was done."""

    status: int
    """Exit status, or minus the number of the signal that killed it."""
    printed: str
    """The last line that it printed."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoder as it is."""

    running: int = 0
    """Replicas at work."""
    encoded: int = 0
    """Clips with features."""
    failed: Mapping[int, str] = field(default_factory=dict)
    """Clips that cannot be encoded, with the reason."""
    early_ends: tuple[EarlyEnd, ...] = ()
    """Encoders that ended before their work was done, since one last encoded a clip; oldest first."""


@dataclass(frozen=True, slots=True)
class World:
    """One snapshot."""

    now: float
    nodes: tuple[Node, ...]
    total: int
    """Clips that the run asks for."""
    rendered: int
    """Of these, clips that are complete."""
    waiting: tuple[int, ...]
    """Clips that were never tried and may start, in order; a long list may be cut."""
    running: tuple[Running, ...] = ()
    ended: tuple[Ended, ...] = ()
    """Clips whose last attempt failed and that do not run now."""
    readings: tuple[Reading, ...] = ()
    """At most one for each GPU, of any age."""
    gates: Mapping[GpuId, Gate] = field(default_factory=dict)
    """As the last tick left them."""
    completions: tuple[float, ...] = ()
    """A moving window: its start, then when the latest clips were completed, oldest first."""
    encoding: Encoding = Encoding()
    free_bytes: int | None = None
    """Room left where the clips go; None where that is not known."""
    clip_bytes: int = 0
    """What a clip takes at most."""
    encode_completions: tuple[float, ...] = ()
    """The same of clips that were encoded."""
    block: int = 1
    """Clips that one pod makes. Where these are several, all that is said of clips above is said of such blocks."""
    complete_clips: int | None = None
    """Clips that are complete, where ``rendered`` counts blocks."""

    @property
    def encodable(self) -> int:
        """Clips that could have features by now."""
        return self.rendered if self.complete_clips is None else self.complete_clips

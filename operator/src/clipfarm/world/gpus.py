"""GPUs, and their memory as it was measured. Sizes are MiB."""

from dataclasses import dataclass, field
from typing import NamedTuple


class GpuId(NamedTuple):
    """One GPU of one node, or one instance of it (MIG): node, UUID and instance tell any two apart.

    A tuple, because a tick of many runs looks GPUs up some hundred thousand times.
    """

    node: str
    index: int  # type: ignore[assignment]  # nobody asks where in the tuple something is
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
class Holder:
    """A user of GPU memory."""

    name: str
    """A pod, as ``namespace/name``, or a process, as ``python (pid 4711)``."""
    used_mib: float | None = None
    """Memory in use; None if the source does not report it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """GPU memory as it was measured."""

    gpu: GpuId
    used_mib: float
    total_mib: float
    """Memory that may be allocated: without the part that the driver keeps for itself, if the source reports that."""
    at: float
    """When it was measured, or reported."""
    lag: float = 0.0
    """How much older than ``at`` the values may be, seconds: an exporter reports what it last collected."""
    holders: tuple[Holder, ...] = ()
    """Users of the memory, the largest share first. Empty means unknown, not that there are none."""

    @property
    def used_fraction(self) -> float:
        """Used memory as a fraction of the whole."""
        return self.used_mib / self.total_mib


@dataclass(frozen=True, slots=True)
class WatermarkState:
    """Whether a GPU is open or closed for new clips by the high and low watermarks: what a tick hands to the next."""

    gpu: GpuId
    closed: bool
    """Use went above ``high`` and has not been below ``low`` since; kept while the use is unknown."""
    reading: Reading | None
    """The newest reading that is fresh; None: unknown."""
    problem: str = ""
    """Why there is no fresh reading."""
    neighbours: "Neighbours | None" = None
    """Memory that neighbours use; None if it cannot be derived."""
    idle_mib: float | None = None
    """Memory in use when no clip of this run was there last; None: there always was one."""
    per_clip_mib: float | None = None
    """Memory in use beyond that for each clip, when all clips there had allocated; None: not seen yet."""
    kept_full_since: float | None = None
    """Since when neighbours have used so much that not one clip of this run could start; None: they do not."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Memory of a GPU that processes other than this run's clips use. Times are those of readings."""

    at: float
    """The last reading that was taken into account."""
    lately: tuple[tuple[float, float], ...]
    """For each reading of the last 40 s: its time, and its memory less that of the run's own clips."""
    bursts: tuple[tuple[float, float], ...] = ()
    """When neighbours used much more for a while, and how much at most."""
    surely: float = 0.0
    """The least that they use, by the last reading."""
    in_burst: bool = False
    scatter: float = 0.0
    """Mean distance of ``lately`` from its median, for one clip, over many readings."""
    samples: int = 0
    """Readings in that mean."""
    least_mib: float = field(init=False, compare=False)
    """Memory that they use all the time: the median of the last 40 s, as each reading is off by a clip or so."""
    now_mib: float = field(init=False, compare=False)
    """Memory that they use now: what they use all the time, or more if the last reading alone shows it."""
    most_mib: float = field(init=False, compare=False)
    """Memory that they use now, or in the largest burst if bursts recur."""

    def __post_init__(self) -> None:
        """Work the sums out once: a tick asks for them many times, and a new reading comes every few seconds."""
        least = max(0.0, sorted([left for _, left in self.lately])[(len(self.lately) - 1) // 2])
        now = max(least, self.surely)
        most = max(now, *(size for _, size in self.bursts)) if len(self.bursts) > 1 else now
        object.__setattr__(self, "least_mib", least)
        object.__setattr__(self, "now_mib", now)
        object.__setattr__(self, "most_mib", most)

    @property
    def deviation_mib(self) -> float | None:
        """Standard deviation of a clip's use, estimated from readings; None: too few readings."""
        return 1.25 * self.scatter if self.samples >= 20 else None

    @property
    def reserve_mib(self) -> float:
        """Memory that they will take beyond what they use now when the next burst comes."""
        return self.most_mib - self.now_mib


@dataclass(frozen=True, slots=True)
class ClipMemory:
    """GPU memory that this run's clips took, as the finished ones reported."""

    peak_mib: float
    """The most that any clip used at a time."""
    mean_mib: float
    """Mean of the clips' peaks."""
    average_mib: float
    """Average use while a clip renders."""
    deviation_mib: float
    """Standard deviation of a clip's use at any moment while it renders, over all moments of all clips."""
    allocated_after: float
    """Seconds from a clip's start until it has allocated, on average."""
    clips: int
    """Clips that have reported."""

"""One snapshot of the world."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clipfarm.world.encoders import Encoding, Turn
from clipfarm.world.gpus import ClipMemory, GpuId, Reading, WatermarkState
from clipfarm.world.nodes import Label, Node, NodeKind, Requests
from clipfarm.world.others import OtherRun
from clipfarm.world.pods import Departed, Ended, Running


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a snapshot, on two clocks."""

    now: float
    """Seconds on the clock that all times of the snapshot are on; it may begin anywhere, and never goes back."""
    wall: float
    """Wall time: seconds since 1970 in UTC."""


@dataclass(frozen=True, slots=True)
class World:
    """One snapshot.

    In a cluster a pod may make a block of several clips (``block``). Indexes then stand for blocks, and so do the
    counts ``total`` and ``rendered``.
    """

    moment: Moment
    nodes: tuple[Node, ...]
    total: int
    """Indexes of the run."""
    rendered: int
    """Indexes that are complete."""
    waiting: tuple[int, ...]
    """Indexes that were never tried and may start, in order; a long list may be cut."""
    running: tuple[Running, ...] = ()
    refused: tuple[int, ...] = ()
    """Indexes that could run, and whose pods the API server refuses."""
    refusal: str = ""
    """Why it refuses them, and what to do."""
    lost: tuple[Running, ...] = ()
    """Pods that were given up with their node: they take no worker, and none of the memory that counts."""
    ended: tuple[Ended, ...] = ()
    """Indexes whose last attempt failed and that do not run now."""
    gave_up: tuple[Ended, ...] = ()
    """Blocks whose last attempt ended before all of their clips were tried and that get another one, begun or not."""
    ran_out_before: frozenset[int] = frozenset()
    """Indexes that are tried again, or are about to be, because GPU memory ran out."""
    broke_off: tuple[Ended, ...] = ()
    """Blocks in which GPU memory ran out for a clip, and that get another attempt, begun or not. Their ``named`` clips
    have failed for good."""
    readings: tuple[Reading, ...] = ()
    """At most one for each GPU, of any age."""
    watermarks: Mapping[GpuId, WatermarkState] = field(default_factory=dict)
    """As the last tick left them."""
    completions: tuple[float, ...] = ()
    """A moving window: its start, then when the latest indexes were completed, oldest first."""
    encoding: Encoding = field(default_factory=Encoding)
    free_bytes: int | None = None
    """Free space where the clips go; None: unknown."""
    clip_bytes: int = 0
    """The most that a clip takes there."""
    encode_completions: tuple[float, ...] = ()
    """A moving window of clips that were encoded, as ``completions``."""
    turn: Turn = field(default_factory=Turn)
    """As the last tick left it."""
    block: int = 1
    """Clips that one pod makes."""
    node_kind: NodeKind = field(default_factory=NodeKind)
    """What all nodes have in common, if the run requires identical ones."""
    unfit: tuple[Label, ...] = ()
    """Labels of nodes whose GPUs clips share, and that take no clips now but may again."""
    unmade: tuple[int, ...] = ()
    """Indexes that may start as soon as their pods are created, in order; a long list may be cut."""
    workers: int | None = None
    """Clips that may run at a time, as an earlier tick fixed it; None: not fixed."""
    workers_since: float | None = None
    """Since when there is such a number that is not fixed, as the last tick left it; None: there is none."""
    queued: bool = False
    """Whether a queue admits all pods of the run at once, so that their number has to be fixed before."""
    starved: bool = False
    """Whether all of them are of indexes that have failed for good, and that the Job makes again."""
    max_default_workers: int | None = None
    """The most that it is fixed at if the run names no number of workers."""
    grows: bool = False
    """Whether nodes may be added: in a cluster, not on one machine."""
    complete_clips: int | None = None
    """Complete clips; None: as many as ``rendered``."""
    departed: tuple[Departed, ...] = ()
    """Pods that ended not long ago."""
    clip_memory: ClipMemory | None = None
    """None: no finished clip has reported its memory."""
    complete_before: int = 0
    """Clips that were complete before this attempt at the run began."""
    fatal: str = ""
    """Why the run ended as a whole, by its own status: the attempts that showed it may not be there any more."""
    others: tuple[OtherRun, ...] = ()
    """Runs of other processes that share its GPUs; runs that are decided in the same tick are not among them."""
    pod_requests: Requests = ()
    """What one pod of the run requests of its node; empty: nothing, as on one machine."""

    @property
    def now(self) -> float:
        """The time of the snapshot, seconds on its clock."""
        return self.moment.now

    @property
    def encodable(self) -> int:
        """Clips that could have features by now."""
        return self.rendered if self.complete_clips is None else self.complete_clips

    @property
    def made(self) -> int:
        """Clips that this attempt at the run has completed."""
        return max(0, self.encodable - self.complete_before)

"""What a look at the world returns: one snapshot, from a cluster or from one machine.

A renderer is called a pod here in both places: in a cluster it is one, on one machine it is a process. All times
are seconds on one clock, which only the snapshot knows.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

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


HOSTNAME_LABEL = "kubernetes.io/hostname"
Label = tuple[str, str]
"""A label of a node: key and value."""
Sharing = Literal["Chosen", "Whole", "Sliced"]
"""How a clip comes to a GPU of its node.

``Chosen``: the clip is told which one to use; all GPUs are in its reach. ``Whole``: Kubernetes' device plugin gives it
one that nobody else has, and nobody knows beforehand which. ``Sliced``: the plugin gives it a share of any of them.
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that renders."""

    name: str
    cpus: int
    """CPUs that may be used there."""
    gpus: tuple[GpuId, ...] = ()
    gpu_problem: str = ""
    """Why its GPUs cannot be told, where that is so; empty where there are none or all are known."""
    sharing: Sharing = "Chosen"
    room: int | None = None
    """Clips of this run that fit there at a time, by what it may allocate; None: nobody asks."""
    avoided: str = ""
    """Why no clip is sent there for some time, where that is so."""
    label: Label | None = None
    """A label that no other node has; None: its name does."""


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
    others: "Others | None" = None
    """What others have in use; None where that cannot be told."""
    idle_mib: float | None = None
    """In use when no clip of this run was there last; None: there always was one."""
    per_clip_mib: float | None = None
    """In use beyond that, for each clip, when all clips there had allocated; None: that was not seen yet."""
    taken_since: float | None = None
    """Since when others have had so much in use that not one clip of this run could start; None: they have not."""


@dataclass(frozen=True, slots=True)
class Others:
    """What others than this run have in use of a GPU. Times are readings', sizes MiB."""

    at: float
    """The reading that was taken in last."""
    lately: tuple[tuple[float, float], ...]
    """What was left of each reading of the last 40 s without the run's own clips, and when."""
    bursts: tuple[tuple[float, float], ...] = ()
    """When others had much more for a while, and how much at most."""
    surely: float = 0.0
    """What they have at least by the last reading."""
    in_burst: bool = False
    scatter: float = 0.0
    """How far from each other those that were left are, for one clip, MiB: a mean over many readings."""
    samples: int = 0
    """Readings that it is a mean of."""

    @property
    def least_mib(self) -> float:
        """What they have at all times: in the middle of the last 40 s, since each reading is off by a clip or so."""
        return max(0.0, statistics.median_low(left for _, left in self.lately))

    @property
    def deviation_mib(self) -> float | None:
        """Standard deviation of a clip's use, about, as readings show it; None: too few readings."""
        return 1.25 * self.scatter if self.samples >= 20 else None

    @property
    def now_mib(self) -> float:
        """What they have now: what they have at all times, or more by the last reading alone."""
        return max(self.least_mib, self.surely)

    @property
    def most_mib(self) -> float:
        """What they have now, or at times: the largest burst, where bursts come again."""
        return max(self.now_mib, *(size for _, size in self.bursts)) if len(self.bursts) > 1 else self.now_mib

    @property
    def reserve_mib(self) -> float:
        """What they will take beside what they have now, when the next burst comes."""
        return self.most_mib - self.now_mib


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
    clips: int = 1
    """Clips that are known to have failed for this reason: several if a pod makes several, 0 if it is not known."""


PodState = Literal["Gated", "Released", "Bound", "Starting", "Working", "Ending", "Lost"]
"""Where a pod is on its way.

``Gated``: clipfarm's gate is on. ``Released``: the gate is off, and no node was found yet. ``Bound``: it has a node,
whose kubelet has not taken it up. ``Starting``: the kubelet pulls its image, mounts its volumes, creates
its containers. ``Working``: the renderer, or encoder, runs. ``Ending``: it is being deleted, or its work is over and
another container lives on. ``Lost``: it is being deleted, and its node has not answered for so long that the operator
gives it up.
"""
POD_STATES: tuple[PodState, ...] = get_args(PodState)


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a pod, or of a process."""

    state: PodState
    since: float
    reason: str = ""
    """Why it does not get on, in the scheduler's or the kubelet's own word; empty if they name none."""
    message: str = ""
    """The same as a sentence."""


@dataclass(frozen=True, slots=True)
class Running:
    """A pod at work, or on its way."""

    clip: int
    node: str
    gpu: GpuId | None
    """Where it was sent; where the node gives out GPUs itself, only the node is meant."""
    started_at: float | None
    """When its renderer began; None: not yet."""
    pod: str = ""
    """Its name, in a cluster."""
    standing: Standing = Standing("Working", 0.0)
    elsewhere: bool = False
    """It may go to a node alone that was not there when it was released."""

    @property
    def state(self) -> PodState:
        """Its state."""
        return self.standing.state

    @property
    def since(self) -> float:
        """When it came into that state."""
        return self.standing.since

    @property
    def waits(self) -> str:
        """Why the scheduler finds no room for it; empty if it has a node, or the scheduler has not said."""
        return self.standing.message if self.state == "Released" else ""


@dataclass(frozen=True, slots=True)
class Left:
    """A pod that has ended, and that readings may still show."""

    node: str
    gpu: GpuId | None
    started_at: float
    ended_at: float
    out_of_vram: bool = False
    """It ended because GPU memory ran out."""


@dataclass(frozen=True, slots=True)
class ClipMemory:
    """GPU memory that this run's clips took, as those that are finished tell."""

    peak_mib: float
    """The most that any had in use at a time."""
    mean_mib: float
    """Their peaks' mean."""
    average_mib: float
    """What they had in use on average while they rendered."""
    deviation_mib: float
    """Standard deviation of what one had in use at any moment of that, of all their moments."""
    allocated_after: float
    """Seconds from a clip's start until it has allocated, on average."""
    clips: int
    """How many have told."""


@dataclass(frozen=True, slots=True)
class EarlyEnd:
    """An encoder that ended before its work was done."""

    status: int
    """Exit status, or minus the number of the signal that killed it."""
    printed: str
    """The last line that it printed."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder: a pod, or a process."""

    name: str
    standing: Standing
    ready: bool = False
    """Whether it has loaded its model and answers."""

    @property
    def state(self) -> PodState:
        """Its state."""
        return self.standing.state

    @property
    def since(self) -> float:
        """When it came into that state."""
        return self.standing.since


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoder as it is."""

    running: int = 0
    """Encoders whose process runs, those included that still load their model."""
    encoded: int = 0
    """Clips with features."""
    failed: Mapping[int, str] = field(default_factory=dict)
    """Clips that cannot be encoded, with the reason."""
    early_ends: tuple[EarlyEnd, ...] = ()
    """Encoders that ended before their work was done, since one last encoded a clip; oldest first."""
    stuck: str = ""
    """Why encoding was given up, by the run's own status: the ends that showed it may not be there any more."""
    pods: tuple[Encoder, ...] = ()
    """All that are there, by name, in any state."""
    asked: int = 0
    """Encoders that were asked for, whatever has become of them."""
    answering: int = 0
    """Encoders that report how far they are."""
    left: int | None = None
    """Clips of the run that encoders see, and that have neither features nor failed; None: none has reported."""
    vanished: Mapping[int, str] = field(default_factory=dict)
    """Clips that were complete when the last was rendered, and that the encoders do not find; with the reason."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How encoders take turns with renderers: what one tick hands to the next."""

    idle_since: float | None = None
    """Since when no complete clip has waited for its features; None: some do."""
    done_since: float | None = None
    """Since when encoders have reported that they see nothing left to do, whatever is counted; None: they do not."""
    missing_since: float | None = None
    """Since when encoders have not found clips that were complete; None: they find all."""
    waiting_since: float | None = None
    """Since when renderers have waited for room while none runs; None: one runs, or there is room."""
    blocked_since: float | None = None
    """Since when renderers have waited for room while no encoder has answered; None: one of them gets on."""
    made_room_at: float | None = None
    """When encoders last left so that renderers can start."""
    gone: Mapping[int, str] = field(default_factory=dict)
    """Complete clips that were not found for so long that they count as failed, with the reason."""


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
    refused: tuple[int, ...] = ()
    """Clips that could run, and whose pods the API server refuses."""
    refusal: str = ""
    """Why it does, and what to do."""
    lost: tuple[Running, ...] = ()
    """Pods that were given up with their node: they take no worker and no memory that counts."""
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
    turn: Turn = Turn()
    """As the last tick left it."""
    block: int = 1
    """Clips that one pod makes. Where these are several, all that is said of clips above is said of such blocks."""
    unfit: tuple[Label, ...] = ()
    """Labels of nodes whose GPUs clips share, and that take none now: they may again."""
    unmade: tuple[int, ...] = ()
    """Clips that may start as soon as their pods are made, in order; a long list may be cut."""
    workers: int | None = None
    """Clips that may run at a time, as it was fixed before; None: it was not yet, or is not to be."""
    max_default_workers: int | None = None
    """The most that it is fixed at, where the run does not say."""
    grows: bool = False
    """Whether nodes may be added: in a cluster. One machine stays alone."""
    complete_clips: int | None = None
    """Clips that are complete, where ``rendered`` counts blocks."""
    left: tuple[Left, ...] = ()
    """Pods that ended not long ago."""
    clip_memory: ClipMemory | None = None
    """None: no finished clip has told yet."""
    complete_before: int = 0
    """Clips that were complete before this attempt at the run began."""
    fatal: str = ""
    """Why the run ended as a whole, by its own status: the attempts that showed it may not be there any more."""

    @property
    def encodable(self) -> int:
        """Clips that could have features by now."""
        return self.rendered if self.complete_clips is None else self.complete_clips

    @property
    def made(self) -> int:
        """Clips that this attempt at the run has completed."""
        return max(0, self.encodable - self.complete_before)

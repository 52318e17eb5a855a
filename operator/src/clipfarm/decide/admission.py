"""Which clips start now, and where; and why the others wait."""

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from clipfarm.decide.places import places, rank
from clipfarm.decide.recall import Recall, recalls
from clipfarm.decide.retry import Outcome
from clipfarm.decide.rules import no_node
from clipfarm.decide.rules.rule import Hold
from clipfarm.decide.rules.subjects import Candidate, Situation
from clipfarm.decide.rules.table import Reason, hold_of_clip, hold_of_place
from clipfarm.decide.scale_up import ScaleUp
from clipfarm.decide.vram.counts import Counts, PlaceKey
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.place import Place
from clipfarm.decide.workers import Workers, workers
from clipfarm.run import Run
from clipfarm.world import GpuId, Label, WatermarkState, World


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Any node but these: a node that is not there yet."""

    nodes: tuple[Label, ...]


To = GpuId | Elsewhere | str
"""Where a clip is sent: to a GPU, to a node, away from nodes, or (empty) anywhere."""


@dataclass(frozen=True, slots=True)
class Start:
    """A clip that starts now."""

    index: int
    """Its index in the Job; on one machine, its clip."""
    node: str
    """Empty: it waits for a node, so that an autoscaler adds one."""
    gpu: GpuId | None
    bound: bool = False
    """Whether it must go to that node: memory there was found to be free."""
    away_from: tuple[Label, ...] = ()
    """Nodes that it must not go to, by labels that only they have."""

    @property
    def to(self) -> To:
        """Where it is sent."""
        if self.away_from:
            return Elsewhere(self.away_from)
        return self.gpu or (self.node if self.bound else "")


@dataclass(frozen=True, slots=True)
class Held:
    """Clips that one hold keeps back: those that would run now without it."""

    hold: Hold
    indexes: tuple[int, ...]
    """Their indexes in the Job; on one machine, the clips."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What starts and what is held."""

    start: tuple[Start, ...]
    held: tuple[Held, ...]
    workers: int
    """Clips that may run at a time now."""
    settled: Workers
    """The same, and whether it is fixed."""
    could_run: int
    """Clips that run, those that start now, and those that would if their pods existed."""
    recalls: tuple[Recall, ...] = ()
    missing: Hold | None = None
    """Why clips wait for a node to be added; None: none does."""


def choose(
    run: Run,
    world: World,
    watermarks: Mapping[GpuId, WatermarkState],
    outcome: Outcome,
    counts: Mapping[PlaceKey, Counts],
    per_clip: Expected | None,
) -> Admission:
    """Take clips in order, those that are tried again first, and admit each that no rule holds.

    If no node has room for a clip, :mod:`clipfarm.decide.scale_up` admits a few without a node.
    """
    settled = workers(run, world)
    scale_up = ScaleUp.of(run, world)
    # Before there is a node, as many as may ask for one; at least one, so that the status says why none starts.
    limit = settled.limit or max(1, scale_up.left + scale_up.pending)
    at_work = len(world.running)
    situation = Situation(run, world, limit, outcome.fatal, at_work, per_clip)
    choice = Choice.among(places(run, world, watermarks, counts), situation)
    candidates = itertools.chain(
        (Candidate(again.index, again.due, again.gave_up) for again in outcome.again),
        map(Candidate, world.waiting),
        (Candidate(index, made=False) for index in world.unmade),
    )
    start: list[Start] = []
    held: dict[Hold, list[int]] = {}
    # A clip that a rule holds would run now without it. It takes a worker in this count, so that "held" means clips
    # that could be running, and the walk ends.
    would_run = at_work
    for candidate in candidates:
        if would_run >= limit:
            break
        hold = hold_of_clip(candidate, situation) or _waits_for_number(candidate, situation, settled)
        place = choice.best() if hold is None else None
        if place is not None:
            choice.take(place)
            situation.at_work += 1
            if candidate.made:
                start.append(Start(candidate.index, place.node.name, place.gpu, bound=bool(place.states)))
        elif hold is None and choice.hold.capacity and scale_up.left:
            scale_up.take()
            situation.at_work += 1
            if candidate.made:
                start.append(Start(candidate.index, "", None, away_from=scale_up.away_from))
        else:
            held.setdefault(hold or choice.hold, []).append(candidate.index)
        if hold is None or not hold.frees_worker:
            would_run += 1
    room = 1 if choice.best() is not None else 0
    waits_for_node = bool(scale_up.pending and not room and choice.hold.capacity)
    return Admission(
        tuple(start),
        tuple(Held(scale_up.counted(hold), tuple(indexes)) for hold, indexes in held.items()),
        limit,
        settled,
        situation.at_work,
        tuple(recalls(world, situation, room)),
        scale_up.counted(choice.hold) if waits_for_node else None,
    )


def _waits_for_number(candidate: Candidate, situation: Situation, settled: Workers) -> Hold | None:
    """Return why a queued run has no pods yet: a queue admits as many as are asked for at first, and never more."""
    if candidate.made or not (situation.world.queued and settled.unknown):
        return None
    message = f"{settled.unknown}, and the queue has to be told how many pods may run; set workers to start without"
    return Reason.VRAM_UNKNOWN.hold(message)


@dataclass
class Choice:
    """The places that are left, the best one first.

    A place that a rule holds is out for the rest of the tick, because it only fills up. So each clip costs the time of
    one look into a heap, however many clips and places there are.
    """

    situation: Situation
    _heap: list[tuple[tuple[float, float], int, Place]]
    _held: list[Hold] = field(default_factory=list)

    @classmethod
    def among(cls, found: list[Place], situation: Situation) -> "Choice":
        """Begin with all places."""
        heap = [(rank(place, situation.per_clip), number, place) for number, place in enumerate(found)]
        heapq.heapify(heap)
        return cls(situation, heap)

    def best(self) -> Place | None:
        """Return the best place that no rule holds; None: no place is left."""
        while self._heap:
            place = self._heap[0][2]
            hold = hold_of_place(place, self.situation)
            if hold is None:
                return place
            heapq.heappop(self._heap)
            self._held.append(hold)
        return None

    def take(self, place: Place) -> None:
        """Count a clip that starts at the best place."""
        place.admit()
        heapq.heapreplace(self._heap, (rank(place, self.situation.per_clip), self._heap[0][1], place))

    @cached_property
    def hold(self) -> Hold:
        """Why no place takes a clip, once none is left: the reason of the best one.

        One more node helps if none of the places will take a clip by itself.
        """
        if not self._held:
            return Reason.NO_NODE.hold(no_node.RULE.message(self.situation))
        first, others = self._held[0], len(self._held) - 1
        if not others:
            return first
        more = "1 other place is held, too" if others == 1 else f"{others} other places are held, too"
        capacity = all(hold.capacity for hold in self._held)
        return replace(first, message=f"{first.message}; {more}", capacity=capacity)

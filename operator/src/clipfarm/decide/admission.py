"""Which clips start now, and where; and why the others wait."""

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from clipfarm.decide import workers
from clipfarm.decide.expectation import Counts, Expected, Where
from clipfarm.decide.places import Place, places
from clipfarm.decide.recall import Recall, recalls
from clipfarm.decide.retry import Outcome
from clipfarm.decide.rules import CLIP_RULES, PLACE_RULES, Candidate, Hold, Situation, no_node
from clipfarm.decide.scale_up import ScaleUp
from clipfarm.run import Run
from clipfarm.world import Gate, GpuId, Label, World


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Any node but these: a node that is not there yet."""

    nodes: tuple[Label, ...]


To = GpuId | Elsewhere | str
"""Where a clip is sent: to a GPU, to a node, away from nodes, or (empty) anywhere."""


@dataclass(frozen=True, slots=True)
class Start:
    """A clip that starts now."""

    clip: int
    node: str
    """Empty: it waits for one, so that an autoscaler adds it."""
    gpu: GpuId | None
    bound: bool = False
    """Whether it has to go to that node: memory there was found to be free."""
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
    clips: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """What starts and what is held."""

    start: tuple[Start, ...]
    held: tuple[Held, ...]
    workers: int
    """Clips that may run at a time now."""
    fixed_workers: int | None
    """The same, where it is settled; None: no node fits yet."""
    could_run: int
    """Clips that run, those that start now, and those that would if their pods were made."""
    recalls: tuple[Recall, ...] = ()
    missing: Hold | None = None
    """Why clips wait for a node to be added, if some do."""


def choose(
    run: Run,
    world: World,
    gates: Mapping[GpuId, Gate],
    outcome: Outcome,
    counts: Mapping[Where, Counts],
    per_clip: Expected | None,
) -> Admission:
    """Take clips in order, those that are tried again first, and let in each that no rule holds.

    Where no node has room for a clip, some are let in without one, as :mod:`clipfarm.decide.scale_up` has it.
    """
    fixed = workers.limit(run, world)
    scale_up = ScaleUp.of(run, world)
    # Before a node is there, as many as may ask for one; one at least, so that it is said why none starts.
    limit = fixed or max(1, scale_up.left + scale_up.pending)
    at_work = len(world.running)
    situation = Situation(run, world.now, limit, outcome.fatal, at_work, world.free_bytes, world.clip_bytes, per_clip)
    choice = Choice.among(places(run, world, gates, counts), per_clip, no_node(run, world))
    candidates = itertools.chain(
        (Candidate(again.clip, again.due) for again in outcome.again),
        map(Candidate, world.waiting),
        (Candidate(clip, made=False) for clip in world.unmade),
    )
    start: list[Start] = []
    held: dict[Hold, list[int]] = {}
    # A clip that is held for another reason than busy workers would run now: it takes a worker in this count,
    # so that "held" means clips that could be running, and the walk ends.
    would_run = at_work
    for candidate in candidates:
        if would_run >= limit:
            break
        hold = next((found for rule in CLIP_RULES if (found := rule(candidate, situation))), None)
        place = choice.best(situation) if hold is None else None
        if place is not None:
            choice.take(place)
            situation.at_work += 1
            if candidate.made:
                start.append(Start(candidate.clip, place.node.name, place.gpu, bound=bool(place.gates)))
        elif hold is None and choice.hold.capacity and scale_up.left:
            scale_up.take()
            situation.at_work += 1
            if candidate.made:
                start.append(Start(candidate.clip, "", None, away_from=scale_up.away_from))
        else:
            held.setdefault(hold or choice.hold, []).append(candidate.clip)
        if hold is None or hold.reason != "RetryDelay":
            would_run += 1
    room = 1 if choice.best(situation) is not None else 0
    waits_for_node = bool(scale_up.pending and not room and choice.hold.capacity)
    return Admission(
        tuple(start),
        tuple(Held(scale_up.counted(hold), tuple(clips)) for hold, clips in held.items()),
        limit,
        fixed,
        situation.at_work,
        tuple(recalls(world, situation, room)),
        scale_up.counted(choice.hold) if waits_for_node else None,
    )


@dataclass
class Choice:
    """The places that are left, the best one first.

    A place that a rule holds is out for the rest of the tick, since it only fills up: so each clip costs the time of
    one look into a heap, however many clips and places there are.
    """

    per_clip: Expected | None
    nowhere: Hold
    """Why nothing starts where there is no place at all."""
    _heap: list[tuple[tuple[float, float], int, Place]]
    _held: list[Hold] = field(default_factory=list)

    @classmethod
    def among(cls, found: list[Place], per_clip: Expected | None, nowhere: Hold) -> "Choice":
        """Begin with all places."""
        heap = [(place.rank(per_clip), number, place) for number, place in enumerate(found)]
        heapq.heapify(heap)
        return cls(per_clip, nowhere, heap)

    def best(self, situation: Situation) -> Place | None:
        """Return the best place that no rule holds."""
        while self._heap:
            place = self._heap[0][2]
            hold = next((found for rule in PLACE_RULES if (found := rule(place, situation))), None)
            if hold is None:
                return place
            heapq.heappop(self._heap)
            self._held.append(hold)
        return None

    def take(self, place: Place) -> None:
        """Count a clip that starts at the best place."""
        place.let_in()
        heapq.heapreplace(self._heap, (place.rank(self.per_clip), self._heap[0][1], place))

    @cached_property
    def hold(self) -> Hold:
        """Why no place takes a clip, once none is left: the reason of the best one.

        One more node helps if none of the places will take a clip by itself.
        """
        if not self._held:
            return self.nowhere
        first, others = self._held[0], len(self._held) - 1
        if not others:
            return first
        more = "1 other place is held, too" if others == 1 else f"{others} other places are held, too"
        capacity = all(hold.capacity for hold in self._held)
        return replace(first, message=f"{first.message}; {more}", capacity=capacity)

"""Which clips start now, and where; and why the others wait."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from clipfarm.decide.expectation import Counts, Expected, Where
from clipfarm.decide.places import Place, places
from clipfarm.decide.retry import Outcome
from clipfarm.decide.rules import CLIP_RULES, PLACE_RULES, Candidate, Hold, Situation
from clipfarm.run import Run, default_workers
from clipfarm.world import Gate, GpuId, World


@dataclass(frozen=True, slots=True)
class Start:
    """A clip that starts now."""

    clip: int
    node: str
    gpu: GpuId | None
    bound: bool = False
    """Whether it has to go to that node: memory there was found to be free."""

    @property
    def to(self) -> GpuId | str:
        """Where it is sent: to a GPU, to a node, or (empty) anywhere."""
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
    """Clips that may run at a time."""


def choose(
    run: Run,
    world: World,
    gates: Mapping[GpuId, Gate],
    outcome: Outcome,
    counts: Mapping[Where, Counts],
    per_clip: Expected | None,
) -> Admission:
    """Take clips in order, those that are tried again first, and let in each that no rule holds."""
    workers = worker_limit(run, world)
    at_work = len(world.running)
    situation = Situation(run, world.now, workers, outcome.fatal, at_work, world.free_bytes, world.clip_bytes, per_clip)
    choice = Choice.among(places(run, world, gates, counts), per_clip)
    candidates = [Candidate(again.clip, again.due) for again in outcome.again]
    candidates += [Candidate(clip) for clip in world.waiting]
    start: list[Start] = []
    held: dict[Hold, list[int]] = {}
    # A clip that is held for another reason than busy workers would run now: it takes a worker in this count,
    # so that "held" means clips that could be running, and the walk ends.
    would_run = at_work
    for candidate in candidates:
        if would_run >= workers:
            break
        hold = next((found for rule in CLIP_RULES if (found := rule(candidate, situation))), None)
        place = choice.best(situation) if hold is None else None
        if place is not None:
            start.append(Start(candidate.clip, place.node.name, place.gpu, bound=bool(place.gates)))
            choice.take(place)
            situation.at_work += 1
        else:
            held.setdefault(hold or choice.hold, []).append(candidate.clip)
        if hold is None or hold.reason != "RetryDelay":
            would_run += 1
    return Admission(tuple(start), tuple(Held(hold, tuple(clips)) for hold, clips in held.items()), workers)


def worker_limit(run: Run, world: World) -> int:
    """Return how many clips may run at a time."""
    return run.spec.workers or sum(default_workers(node.cpus, run.spec.render.threads) for node in world.nodes)


@dataclass
class Choice:
    """The places that are left, the best one first.

    A place that a rule holds is out for the rest of the tick, since it only fills up: so each clip costs the time of
    one look into a heap, however many clips and places there are.
    """

    per_clip: Expected | None
    _heap: list[tuple[tuple[float, float], int, Place]]
    _held: list[Hold] = field(default_factory=list)

    @classmethod
    def among(cls, found: list[Place], per_clip: Expected | None) -> "Choice":
        """Begin with all places."""
        heap = [(place.rank(per_clip), number, place) for number, place in enumerate(found)]
        heapq.heapify(heap)
        return cls(per_clip, heap)

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

    @property
    def hold(self) -> Hold:
        """Why no place takes a clip: the reason of the best one."""
        if not self._held:
            return Hold("NoNode", "no node fits the run's node selector and tolerations")
        first, others = self._held[0], len(self._held) - 1
        if not others:
            return first
        more = "1 other place is held, too" if others == 1 else f"{others} other places are held, too"
        return replace(first, message=f"{first.message}; {more}")

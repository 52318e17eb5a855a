"""Which clips start now, and where; and why the others wait."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from clipfarm.decide.choice import Choice
from clipfarm.decide.recall import Recall, recalls
from clipfarm.decide.retry import Outcome
from clipfarm.decide.rules.rule import Hold
from clipfarm.decide.rules.subjects import Candidate, Situation
from clipfarm.decide.rules.table import Reason, hold_of_clip
from clipfarm.decide.scale_up import ScaleUp
from clipfarm.decide.vram.place import Place
from clipfarm.decide.workers import Workers
from clipfarm.world import GpuId, Label


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


@dataclass(frozen=True, slots=True)
class Turn:
    """A clip that was admitted."""

    place: Place | None
    """None: it waits for a node to be added."""


class Admitting:
    """The admission of one run's clips within a tick, one clip a turn.

    Clips are taken in order, those that are tried again first, and each that no rule holds is admitted. If no node has
    room for a clip, :mod:`clipfarm.decide.scale_up` admits a few without a node.
    """

    def __init__(self, situation: Situation, settled: Workers, outcome: Outcome, choice: Choice) -> None:
        """Begin before the first clip.

        Args:
            situation: what rules look at; it counts the clips that are admitted.
            settled: how many clips may run at a time, and whether that is fixed.
            outcome: which clips are tried again.
            choice: the places.
        """
        world = situation.world
        self._situation, self._settled, self._choice = situation, settled, choice
        self._scale_up = ScaleUp.of(situation.run, world)
        # Before there is a node, as many as may ask for one; at least one, so that the status says why none starts.
        situation.workers = settled.limit or max(1, self._scale_up.left + self._scale_up.pending)
        self._candidates = itertools.chain(
            (Candidate(again.index, again.due, again.gave_up) for again in outcome.again),
            map(Candidate, world.waiting),
            (Candidate(index, made=False) for index in world.unmade),
        )
        self._start: list[Start] = []
        self._held: dict[Hold, list[int]] = {}
        self.waits = False
        """Whether a clip is held because no place takes it."""
        # A clip that a rule holds would run now without it. It takes a worker in this count, so that "held" means clips
        # that could be running, and the walk ends.
        self._would_run = situation.at_work

    def turn(self) -> Turn | None:
        """Admit one clip; None once no other clip is admitted."""
        situation = self._situation
        while self._would_run < situation.workers and (candidate := next(self._candidates, None)) is not None:
            hold = hold_of_clip(candidate, situation) or self._waits_for_number(candidate)
            situation.surely = candidate.ran_out or situation.run.spec.retry.tries_once
            place = self._choice.best(keeps=candidate.ran_out) if hold is None else None
            if hold is None or not hold.frees_worker:
                self._would_run += 1
            if place is not None:
                self._choice.take(place)
                return self._admit(
                    candidate, Start(candidate.index, place.node.name, place.gpu, bool(place.states)), place
                )
            if hold is None and self._choice.hold.capacity and self._scale_up.left:
                self._scale_up.take()
                return self._admit(candidate, Start(candidate.index, "", None, away_from=self._scale_up.away_from))
            self.waits |= hold is None
            self._held.setdefault(hold or self._choice.hold, []).append(candidate.index)
        return None

    def _admit(self, candidate: Candidate, start: Start, place: Place | None = None) -> Turn:
        self._situation.at_work += 1
        if candidate.made:
            self._start.append(start)
        return Turn(place)

    @property
    def starts(self) -> tuple[Start, ...]:
        """Clips that were admitted so far and start now."""
        return tuple(self._start)

    @property
    def kept(self) -> Sequence[Place]:
        """Places that are kept for clips of the run that take no risk."""
        return self._choice.kept

    def wanted(self) -> Place | None:
        """Return the place to be kept for the next clip, if clips of other runs are all that is in its way."""
        return self._choice.wanted() if self.waits else None

    def result(self) -> Admission:
        """Return what starts and what is held, after the last turn."""
        choice, scale_up, world = self._choice, self._scale_up, self._situation.world
        self._situation.surely = self._situation.run.spec.retry.tries_once  # as of any clip, and not of the last one
        asks = scale_up.pending or any(pod.waits for pod in world.running)
        room = 1 if asks and choice.best() is not None else 0
        waits_for_node = bool(scale_up.pending and not room and choice.hold.capacity)
        return Admission(
            self.starts,
            tuple(Held(scale_up.counted(hold), tuple(indexes)) for hold, indexes in self._held.items()),
            self._situation.workers,
            self._settled,
            self._situation.at_work,
            tuple(recalls(world, self._situation, room)),
            scale_up.counted(choice.hold) if waits_for_node else None,
        )

    def _waits_for_number(self, candidate: Candidate) -> Hold | None:
        """Return why a queued run has no pods yet: a queue admits as many as are asked for at first, and never more."""
        unknown = self._settled.unknown
        if candidate.made or not (self._situation.world.queued and unknown):
            return None
        return Reason.VRAM_UNKNOWN.hold(
            f"{unknown}, and the queue has to be told how many pods may run; set workers to start without"
        )

"""The whole of what clipfarm decides, on one screen."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from clipfarm.decide import admission, encoding, recall, retry, status
from clipfarm.decide.choice import Choice
from clipfarm.decide.places import Places
from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.shares import Whole
from clipfarm.decide.vram import counts, encoders, expected, watermarks
from clipfarm.decide.vram.ledger import Claim, Ledger
from clipfarm.decide.workers import workers
from clipfarm.run import Run
from clipfarm.world import GpuId, Turn, WatermarkState, World


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be done now. ``apply`` carries it out and adds nothing."""

    start: tuple[admission.Start, ...]
    """Clips to start, each with its place."""
    encoders: int
    """Encoder replicas that should be at work."""
    turn: Turn
    """For the next tick."""
    could_run: int
    """Clips that run, those that start now, and those that would if their pods existed."""
    recalls: tuple[recall.Recall, ...]
    """Clips that wait for a node, and are to wait behind their gates instead."""
    no_more_clips: bool
    """Every clip is rendered or has failed for good: the encoder may end after the last one."""
    watermarks: Mapping[GpuId, WatermarkState]
    """For the next tick."""
    status: status.Status
    claims: Mapping[GpuId, tuple[Claim, ...]] = field(default_factory=dict)
    """Memory that clips of all runs claim on the GPUs of this run; without those where there is none."""
    per_clip: expected.Expected | None = None
    """GPU memory that a clip takes; None: unknown."""
    wants: GpuId | None = None
    """The GPU whose memory, as it comes free, is kept for this run."""
    waits: bool = False
    """Whether it has clips that no place takes."""
    share: float = 0.0
    """Its part of what there is, with the clips that start now."""


class Draft:
    """One run within a tick, from the look at it to its plan. Other runs' turns come in between."""

    def __init__(
        self, name: str, run: Run, world: World, created: str = "", newest: watermarks.Newest | None = None
    ) -> None:
        """Find out how much memory its clips take, and where they are.

        Args:
            name: of the run, which no other one has.
            run: what is asked for.
            world: what was seen.
            created: when the run was, as the API server writes it; the oldest comes first.
            newest: the world's readings, where they are at hand.
        """
        self.name, self.run, self.world, self.created = name, run, world, created
        self._newest = newest or watermarks.Newest.of(run.spec.vram, world)
        self.per_clip = expected.expected(run.spec.vram, world)
        once = run.spec.retry.tries_once
        self.counted = counts.counts(run.spec.vram, world, self._newest.fresh, self.per_clip, once=once)

    def enter(self, ledger: Ledger) -> None:
        """Enter its clips into the ledger of all runs, and those of other processes that it knows of."""
        fresh = self._newest.fresh
        if self.run.spec.render.device != "cpu":
            ledger.put(self.name, self.world.nodes, self.counted, self.per_clip, fresh)
        ledger.drop(self.name + encoders.SUFFIX)
        for other in self.world.others:
            nodes = other.nodes or self.world.nodes
            theirs = replace(
                self.world, nodes=nodes, running=other.running, departed=other.departed, ran_out_before=frozenset()
            )
            vram = self.run.spec.vram.model_copy(update={"allocation_time": other.allocation_time})
            size = expected.reported(other.clip) if other.clip else None
            counted = counts.counts(vram, theirs, self._newest.fresh, size)
            ledger.put(other.name, nodes, counted, size, fresh, encodes=other.encodes)

    def begin(self, ledger: Ledger) -> None:
        """Judge GPUs and retries, once the clips of all runs are entered."""
        run, world = self.run, self.world
        self._ledger = ledger
        self._wants: GpuId | None = None
        others_on = partial(ledger.on_gpu, self.name)
        self.marks = watermarks.update(run.spec.vram, world, self.counted, self.per_clip, others_on, self._newest)
        self.outcome = retry.stop(run.spec.retry, world, retry.judge(run.spec.retry, world.ended))
        largest = ledger.largest_mib(self.name)
        self._situation = situation = Situation(
            run, world, 0, self.outcome.fatal, len(world.running), self.per_clip, largest
        )
        choice = Choice(situation, Places(run, world, self.marks, self.counted, ledger, self.name))
        self._admitting = admission.Admitting(situation, workers(run, world), self.outcome, choice)

    @property
    def at_work(self) -> int:
        """Its clips that run or were admitted."""
        return self._situation.at_work

    @property
    def starts(self) -> tuple[admission.Start, ...]:
        """Its clips that start now, of the turns so far."""
        return self._admitting.starts

    @property
    def waits(self) -> bool:
        """Whether a clip could run and no place takes it, after the last turn."""
        return self._admitting.waits

    def turn(self) -> bool:
        """Admit one clip; return whether there was one to admit."""
        turn = self._admitting.turn()
        if turn is not None and turn.place is not None:
            last = self._situation.surely
            self._ledger.start(self.name, turn.place, self.world.pod_requests, last_attempt=last)
        for kept in self._admitting.kept:
            self._ledger.keep(self.name, kept)
        if turn is None and (place := self._admitting.wanted()) is not None:
            self._ledger.keep(self.name, place)
            self._wants = place.gpu
        return turn is not None

    def give_way(self, share: float) -> None:
        """Keep memory for runs of other processes that have a smaller share, and wait.

        Such a run has not seen yet what has come free since its last turn: then nothing starts before its next one.
        """
        freed = max((gone.ended_at for gone in self.world.departed), default=-math.inf)
        for other in self.world.others:
            theirs = other.standing
            if theirs is None or not theirs.waits or theirs.share >= share:
                continue
            every = [gpu for node in self.world.nodes for gpu in node.gpus]
            for gpu in every if theirs.at < freed else [theirs.wants] if theirs.wants else []:
                self._ledger.keep_gpu(other.name, gpu)

    def plan(self, share: float = 0.0) -> Plan:
        """Return the plan, after the last turn."""
        admitted = self._admitting.result()
        finished = status.rendering_finished(self.world, self.outcome)
        encoders, turn = encoding.scale(self.run.spec.encode, self.world, admitted.held, finished=finished)
        return Plan(
            start=admitted.start,
            could_run=admitted.could_run,
            recalls=admitted.recalls,
            encoders=encoders,
            turn=turn,
            no_more_clips=finished,
            watermarks=self.marks,
            status=status.summarise(self.run, self.world, self.marks, self.outcome, admitted),
            claims=self._ledger.claims_on(self.marks),
            per_clip=self.per_clip,
            wants=self._wants,
            waits=self.waits,
            share=share,
        )


def decide(run: Run, world: World) -> Plan:
    """Return the plan for one snapshot: no I/O, no clock, no memory."""
    draft, ledger = Draft(run.name, run, world), Ledger()
    draft.enter(ledger)
    draft.begin(ledger)
    of_clip = Whole.of([world], [draft.per_clip] if draft.per_clip else []).of_clip(run, draft.per_clip)
    draft.give_way(draft.at_work * of_clip)
    while draft.turn():
        draft.give_way(draft.at_work * of_clip)
    return draft.plan(draft.at_work * of_clip)

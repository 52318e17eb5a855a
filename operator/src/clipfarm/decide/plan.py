"""The whole of what clipfarm decides, on one screen."""

from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm.decide import admission, encoding, recall, retry, status
from clipfarm.decide.vram import counts, expected, watermarks
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


def decide(run: Run, world: World) -> Plan:
    """Return the plan for one snapshot: no I/O, no clock, no memory."""
    vram = run.spec.vram
    per_clip = expected.expected(vram, world)
    counted = counts.counts(vram, world, watermarks.fresh(vram, world), per_clip)
    marks = watermarks.update(vram, world, counted, per_clip)
    outcome = retry.stop(run.spec.retry, world, retry.judge(run.spec.retry, world.ended))
    admitted = admission.choose(run, world, marks, outcome, counted, per_clip)
    finished = status.rendering_finished(world, outcome)
    encoders, turn = encoding.scale(run.spec.encode, world, admitted.held, finished=finished)
    return Plan(
        start=admitted.start,
        could_run=admitted.could_run,
        recalls=admitted.recalls,
        encoders=encoders,
        turn=turn,
        no_more_clips=finished,
        watermarks=marks,
        status=status.summarise(run, world, marks, outcome, admitted),
    )

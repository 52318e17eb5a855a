"""What a run looks like from outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from clipfarm.decide import encoding, starting
from clipfarm.decide.admission import Admission, Held
from clipfarm.decide.retry import Outcome
from clipfarm.decide.rules.rule import Hold
from clipfarm.run import Run
from clipfarm.world import GpuId, Standing, WatermarkState, World

Phase = Literal["Running", "Waiting", "Encoding", "Suspended", "Succeeded", "CompletedWithFailures", "Failed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip that failed for good; in a cluster an index of the Job, which may have several."""

    clip: int
    stage: Literal["render", "encode"]
    reason: str
    named: tuple[tuple[int, str], ...] = ()
    """As in :class:`~clipfarm.world.Ended`."""
    done: int = 0
    """As in :class:`~clipfarm.world.Ended`."""
    unfinished: bool = False
    """Whether the index gets another attempt, so that its ``named`` clips alone have failed."""


@dataclass(frozen=True, slots=True)
class Status:
    """Counters and reasons."""

    phase: Phase
    total: int
    rendered: int
    encoded: int
    running: int
    """With the clips that start now."""
    retrying: int
    held: tuple[Held, ...]
    missing: Hold | None
    """Why clips wait for a node to be added, if some do."""
    failures: tuple[Failure, ...]
    workers: int
    """Clips that may run at a time now."""
    fixed_workers: int | None
    """The same once it is fixed; None: no node fits yet, or GPUs of one that fits are unknown."""
    workers_since: float | None
    """Since when there is a number that is not fixed; None: it is fixed, or there is none."""
    workers_unknown: str
    """Why it is not fixed; empty: it is, or no node fits yet."""
    clips_per_hour: float | None
    """Of the moving window; None before the first clip is done."""
    eta_seconds: float | None
    """Until everything is rendered and encoded. None while it is not known, and while nothing is at work unless it is
    known when the next clip starts."""
    watermarks: tuple[WatermarkState, ...]
    """GPUs of the nodes, in their order."""
    kept_full: tuple[WatermarkState, ...]
    """GPUs that neighbours have kept full for longer than ``vram.heldWarningAfter``, while clips are held."""
    stuck: str
    """What a person has to fix; empty: nothing."""
    working: int = 0
    """Renderers that run."""
    encoding: bool = False
    """An encoder runs, and has clips to encode."""
    troubles: tuple[Standing, ...] = ()
    """States of renderers that do not start by themselves."""
    encoder_troubles: tuple[Standing, ...] = ()
    """The same of encoders."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in ("Succeeded", "CompletedWithFailures", "Failed")


def rendering_finished(world: World, outcome: Outcome) -> bool:
    """Tell whether no other clip will be rendered."""
    if world.running:
        return False
    return bool(outcome.fatal) or world.rendered + len(outcome.failed) >= world.total


def summarise(
    run: Run, world: World, watermarks: Mapping[GpuId, WatermarkState], outcome: Outcome, admission: Admission
) -> Status:
    """Return the status for one snapshot."""
    failures = [Failure(end.index, "render", end.reason, end.named, end.done) for end in outcome.failed]
    failures += [Failure(end.index, "render", "", end.named, unfinished=True) for end in world.broke_off if end.named]
    failures += [Failure(clip, "encode", reason) for clip, reason in sorted(encoding.failures(world).items())]
    settled = admission.settled
    to_render = world.total - world.rendered - len(outcome.failed)
    encode = run.spec.encode
    to_encode = to_render * world.block + encoding.remaining(world) if encode.enabled else 0
    rendering = Pace.of(world.completions, world.now, at_once=admission.workers)
    encoding_pace = Pace.of(
        world.encode_completions, world.now, at_once=encode.batch_size * max(1, world.encoding.running)
    )
    slow = starting.held(world) + starting.refused(world)
    troubles = starting.troubles(world.running, world.now)
    goes_on = _renders(run, world, admission, troubles) if to_render else bool(world.encoding.running)
    starts_at = world.now if goes_on else _starts_at(world, admission)
    eta = _eta((to_render, rendering), (to_encode, encoding_pace))
    if eta is not None and (to_render or to_encode):
        eta = None if starts_at is None else eta + max(0.0, starts_at - world.now)
    return Status(
        phase=_phase(run, world, outcome, admission, troubles, failed=bool(failures or world.encoding.passed_over)),
        total=world.total,
        rendered=world.rendered,
        encoded=world.encoding.encoded,
        running=len(world.running) + len(admission.start),
        retrying=len(outcome.again),
        held=admission.held + slow,
        missing=admission.missing,
        failures=tuple(failures),
        workers=admission.workers,
        fixed_workers=settled.limit if settled.fixed else None,
        workers_since=settled.since,
        workers_unknown=settled.unknown,
        clips_per_hour=rendering.per_second * 3600 if rendering else None,
        eta_seconds=eta,
        watermarks=tuple(map(watermarks.__getitem__, sorted(watermarks))),
        kept_full=_kept_full(run, world, watermarks, admission),
        stuck=outcome.fatal or encoding.stuck(world.encoding),
        working=_working(world),
        encoding=_encodes(run, world),
        troubles=troubles + starting.troubles(world.lost, world.now),
        encoder_troubles=starting.troubles(world.encoding.pods, world.now),
    )


def _working(world: World) -> int:
    """Count renderers that run; those on a node that does not answer are unknown, so they do not count."""
    standings = [pod.standing for pod in world.running]
    return sum(standing.state == "Working" and not standing.reason for standing in standings)


def _encodes(run: Run, world: World) -> bool:
    return run.spec.encode.enabled and world.encoding.running > 0 and encoding.remaining(world) > 0


def _renders(run: Run, world: World, admission: Admission, troubles: tuple[Standing, ...]) -> bool:
    """Tell whether clips are being rendered, and others will be after them."""
    at_work = bool(admission.start) or len(troubles) < len(world.running)
    return at_work and not run.spec.suspend


def _starts_at(world: World, admission: Admission) -> float | None:
    """Return when the first clip starts after a time in which all are held; None: unknown, or not all are."""
    ends = [held.hold.until for held in admission.held]
    known = [end for end in ends if end is not None]
    return min(known) if known and len(known) == len(ends) and not world.running else None


def _kept_full(
    run: Run, world: World, watermarks: Mapping[GpuId, WatermarkState], admission: Admission
) -> tuple[WatermarkState, ...]:
    if not any(held.hold.about_vram for held in admission.held):
        return ()
    before = world.now - run.spec.vram.held_warning_after
    return tuple(
        state for state in watermarks.values() if state.kept_full_since is not None and state.kept_full_since < before
    )


def _phase(
    run: Run,
    world: World,
    outcome: Outcome,
    admission: Admission,
    troubles: tuple[Standing, ...],
    *,
    failed: bool,
) -> Phase:
    if not rendering_finished(world, outcome):
        if run.spec.suspend and not world.running:
            return "Suspended"
        if len(troubles) < len(world.running) or admission.start or _encodes(run, world):
            return "Running"
        return "Waiting" if admission.held or troubles or world.lost else "Running"
    stuck = encoding.stuck(world.encoding)
    encodable = run.spec.encode.enabled and not stuck
    if encodable and encoding.remaining(world) and not outcome.fatal:
        in_trouble = starting.troubles(world.encoding.pods, world.now)
        return "Waiting" if in_trouble and not world.encoding.running else "Encoding"
    if outcome.fatal or world.encodable == 0:
        return "Failed"
    return "CompletedWithFailures" if failed or stuck else "Succeeded"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast clips are completed, by a moving window of completions."""

    per_second: float
    credit: float
    """Seconds since the last completion that already count for the next ones."""

    @classmethod
    def of(cls, completions: tuple[float, ...], now: float, *, at_once: int) -> "Pace | None":
        """Return the pace; None before anything was completed.

        ``completions`` begins with the start of the window. Clips that are made ``at_once`` are often done at once,
        so that a quiet time as long as making them takes is no sign of a stall; what is quiet beyond that is one.
        """
        done = len(completions) - 1
        if done < 1 or completions[-1] <= completions[0]:
            return None
        window = completions[-1] - completions[0]
        quiet = now - completions[-1]
        usual = at_once * window / done
        return cls(done / (window + max(0.0, quiet - usual)), min(quiet, usual))

    def seconds_for(self, clips: int) -> float:
        """Return how long the next ``clips`` take from now."""
        return max(0.0, clips / self.per_second - self.credit)


def _eta(*stages: tuple[int, Pace | None]) -> float | None:
    """Return the time that the slowest stage still needs."""
    times = [0.0]
    for clips, pace in stages:
        if clips and pace is None:
            return None
        if clips and pace:
            times.append(pace.seconds_for(clips))
    return max(times)

"""What a run looks like from outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from clipfarm.decide import encoding
from clipfarm.decide.admission import Admission, Held
from clipfarm.decide.retry import Outcome
from clipfarm.run import Run
from clipfarm.world import Gate, GpuId, World

Phase = Literal["Running", "Encoding", "Suspended", "Succeeded", "CompletedWithFailures", "Failed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip that failed for good."""

    clip: int
    stage: Literal["render", "encode"]
    reason: str


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
    failures: tuple[Failure, ...]
    workers: int
    clips_per_hour: float | None
    """Of the moving window; None before two clips are done."""
    eta_seconds: float | None
    """Until everything is rendered and encoded; None while nothing can be said."""
    gates: tuple[Gate, ...]
    stuck: str
    """What a person has to mend, where that is so."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in ("Succeeded", "CompletedWithFailures", "Failed")


def rendering_finished(world: World, outcome: Outcome) -> bool:
    """Tell whether no clip will be rendered any more."""
    if world.running:
        return False
    return bool(outcome.fatal) or world.rendered + len(outcome.failed) >= world.total


def summarise(run: Run, world: World, gates: Mapping[GpuId, Gate], outcome: Outcome, admission: Admission) -> Status:
    """Return the status for one snapshot."""
    failures = [Failure(end.clip, "render", end.reason) for end in outcome.failed]
    failures += [Failure(clip, "encode", reason) for clip, reason in sorted(world.encoding.failed.items())]
    to_render = world.total - world.rendered - len(outcome.failed)
    to_encode = to_render + encoding.remaining(world) if run.spec.encode.enabled else 0
    per_second = _rate(world.completions, world.now)
    return Status(
        phase=_phase(run, world, outcome, failed=bool(failures)),
        total=world.total,
        rendered=world.rendered,
        encoded=world.encoding.encoded,
        running=len(world.running) + len(admission.start),
        retrying=len(outcome.again),
        held=admission.held,
        failures=tuple(failures),
        workers=admission.workers,
        clips_per_hour=per_second * 3600 if per_second else None,
        eta_seconds=_eta((to_render, per_second), (to_encode, _rate(world.encode_completions, world.now))),
        gates=tuple(gates[gpu] for gpu in sorted(gates)),
        stuck=outcome.fatal or world.encoding.stuck,
    )


def _phase(run: Run, world: World, outcome: Outcome, *, failed: bool) -> Phase:
    if not rendering_finished(world, outcome):
        return "Suspended" if run.spec.suspend and not world.running else "Running"
    encodable = run.spec.encode.enabled and not world.encoding.stuck
    if encodable and encoding.remaining(world) and not outcome.fatal:
        return "Encoding"
    if outcome.fatal or world.rendered == 0:
        return "Failed"
    return "CompletedWithFailures" if failed or world.encoding.stuck else "Succeeded"


def _rate(completions: tuple[float, ...], now: float) -> float | None:
    """Return completions a second over the window, from its oldest one to now, so that a stall shows."""
    if len(completions) < 2 or now <= completions[0]:
        return None
    return (len(completions) - 1) / (now - completions[0])


def _eta(*stages: tuple[int, float | None]) -> float | None:
    """Return the time that the slowest stage still needs."""
    times = [0.0]
    for left, rate in stages:
        if left and not rate:
            return None
        if left and rate:
            times.append(left / rate)
    return max(times)

"""A clip that ran out of GPU memory waits for ``retry.delay``, so that the memory can come free.

So does a block that was given up, so that by then another clip of the run may be complete.
"""

from clipfarm.decide.rules.rule import ClipRule
from clipfarm.decide.rules.subjects import Candidate, Situation
from clipfarm.units import format_duration
from clipfarm_contract.exit_codes import ENDED_WITH_2


def _holds(candidate: Candidate, situation: Situation) -> str | None:
    if candidate.due is None or situation.world.now >= candidate.due:
        return None
    spec = situation.run.spec
    if candidate.gave_up:
        ended = "its first clips failed alike, so the pod ended before the others were tried"
    else:
        ended = ENDED_WITH_2 if spec.render.device == "cpu" else "ran out of GPU memory"
    return f"{ended}; starts again {format_duration(spec.retry.delay)} after that"


def _until(candidate: Candidate, _situation: Situation) -> float | None:
    return candidate.due


RULE = ClipRule(
    word="RetryDelay",
    means="Clips that ran out of GPU memory (or on a CPU ended with 2) wait for `retry.delay`. So do those of a pod"
    " that ended early because its first clips failed alike.",
    remedy="Nothing.",
    passes=True,
    frees_worker=True,
    holds=_holds,
    until=_until,
)

"""At most ``workers`` clips run at a time."""

from clipfarm.decide.rules.rule import ClipRule
from clipfarm.decide.rules.subjects import Candidate, Situation


def _holds(_candidate: Candidate, situation: Situation) -> str | None:
    if situation.at_work < situation.workers:
        return None
    if situation.workers == 1:
        return "the only worker is busy"
    return f"{situation.workers} of {situation.workers} workers are busy"


RULE = ClipRule(
    word="WorkersBusy",
    means="As many clips run as `workers` allows.",
    remedy="Nothing, or raise `workers`.",
    passes=True,
    holds=_holds,
)

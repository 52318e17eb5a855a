"""Nothing starts in a run that cannot succeed."""

from clipfarm.decide.rules.rule import ClipRule
from clipfarm.decide.rules.subjects import Candidate, Situation


def _holds(_candidate: Candidate, situation: Situation) -> str | None:
    return _takes_back(situation)


def _takes_back(situation: Situation) -> str | None:
    return situation.fatal or None


RULE = ClipRule(
    word="Fatal",
    means="The renderer refuses the run, or all its clips fail alike. No other clip is tried.",
    remedy="See `Stuck` under Ready.",
    passes=False,
    holds=_holds,
    takes_back=_takes_back,
)

"""``suspend: true`` starts nothing; clips that run go on."""

from clipfarm.decide.rules.rule import ClipRule
from clipfarm.decide.rules.subjects import Candidate, Situation
from clipfarm.model import Model

SUSPENDED = "spec.suspend is true"


class Options(Model):
    """The field of the run's spec."""

    suspend: bool = False
    """Start no new clip; running clips continue to their end."""


def _holds(_candidate: Candidate, situation: Situation) -> str | None:
    return f"{SUSPENDED}; set it to false to start clips" if situation.run.spec.suspend else None


def _takes_back(situation: Situation) -> str | None:
    return SUSPENDED if situation.run.spec.suspend else None


RULE = ClipRule(
    word="Suspended",
    means="`spec.suspend` is true.",
    remedy='`kubectl patch benchmarkrun NAME --type=merge -p \'{"spec":{"suspend":false}}\'`',
    passes=True,
    holds=_holds,
    takes_back=_takes_back,
)

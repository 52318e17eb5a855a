"""No clip starts that would not fit beside those at work: it would be rendered and then lost."""

from clipfarm.decide.rules.rule import ClipRule
from clipfarm.decide.rules.subjects import Candidate, Situation
from clipfarm.units import format_bytes


def _holds(_candidate: Candidate, situation: Situation) -> str | None:
    free, largest = situation.world.free_bytes, situation.world.clip_bytes
    if free is None or free >= (situation.at_work + 1) * largest:
        return None
    return f"{format_bytes(free)} left for clips of up to {format_bytes(largest)}; free some space"


RULE = ClipRule(
    word="StorageFull",
    means="Another clip might not fit on the disk beside those that are being made (only on one machine).",
    remedy="Free some space; the run continues by itself.",
    passes=True,
    holds=_holds,
)

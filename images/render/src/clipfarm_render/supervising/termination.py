"""The termination message of a block of clips (:mod:`clipfarm_contract.termination`)."""

from collections.abc import Sequence

from clipfarm_contract.result import GpuReading
from clipfarm_contract.termination import ClipEnd, Termination
from clipfarm_render.supervising.attempt import Outcome


def message(outcomes: Sequence[Outcome], gpu: GpuReading | None = None) -> str:
    """Return the message about some clips and, if it is known, the memory of their GPU."""
    clips = (ClipEnd.of(outcome.result, skipped=outcome.skipped) for outcome in outcomes)
    return Termination.of(clips, gpu).dump()

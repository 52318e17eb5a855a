"""The termination message of a block of clips (:mod:`clipfarm_contract.termination`)."""

from collections.abc import Sequence

from clipfarm_contract.result import GpuReading
from clipfarm_contract.termination import ClipEnd, Termination
from clipfarm_render.supervising.attempt import Outcome
from clipfarm_render.supervising.block import tried_again
from clipfarm_render.supervising.counting import NOT_COUNTED, Counting


def message(
    outcomes: Sequence[Outcome],
    gpu: GpuReading | None = None,
    slow: Sequence[str] = (),
    counting: Counting = NOT_COUNTED,
) -> str:
    """Return the message about some clips, the memory of their GPU if it is known, and what is slow there."""
    clips = (
        ClipEnd.of(outcome.result, skipped=outcome.skipped, again=bool(counting.job) and tried_again(outcome, counting))
        for outcome in outcomes
    )
    return Termination.of(clips, gpu, slow).dump()

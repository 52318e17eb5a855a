"""When a block is given up: its clips fail alike, and so would, for all that is known, every other clip of the run."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.reasons import alike
from clipfarm_render.supervising.attempt import Outcome


@dataclass(frozen=True, slots=True)
class Patience:
    """How much a block tries before it is given up."""

    after: int = 0
    """Clips that fail alike, one after the other; 0: the block is never given up."""
    clips: Indexes = field(default_factory=Indexes)
    """Clips of the run: if one of them is complete, the fault is not the run's."""


def hopeless(run: RunFolder, outcomes: Sequence[Future[Outcome]], patience: Patience) -> bool:
    """Return whether a block is to be given up after some clips.

    Waits for an outcome only if all before it have failed, so that a block whose first clip is complete never waits.
    """
    if not patience.after or len(outcomes) < patience.after:
        return False
    if any(outcome.result().result.exit_code is ExitCode.OK for outcome in outcomes):
        return False
    last = [outcome.result().result for outcome in outcomes[-patience.after :]]
    kinds = {(result.exit_code, alike(result.reason)) for result in last}
    return len(kinds) == 1 and not run.has_clip_of(patience.clips)

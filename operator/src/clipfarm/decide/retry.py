"""Which clips are tried again, and which have failed for good."""

from collections.abc import Sequence
from dataclasses import dataclass

from clipfarm.run import Retry
from clipfarm.world import Ended
from clipfarm_contract.exit_codes import ExitCode


@dataclass(frozen=True, slots=True)
class Again:
    """A clip that gets another attempt, not before ``due``."""

    clip: int
    due: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the clips whose last attempt failed."""

    again: tuple[Again, ...] = ()
    failed: tuple[Ended, ...] = ()
    """Failed for good."""
    fatal: str = ""
    """Why no clip of this run can succeed, where that is so."""


def judge(retry: Retry, ended: Sequence[Ended]) -> Outcome:
    """Sort failed attempts: only GPU memory that ran out is worth another try.

    Another failure is the clip's own, since the same seed gives the same clip, and the run goes on without it. A
    usage error is every clip's: nothing is to be gained by going through all of them.
    """
    again, failed, fatal = [], [], ""
    for end in ended:
        if end.exit_code is ExitCode.OUT_OF_VRAM and end.attempts <= retry.limit and not end.final:
            again.append(Again(end.clip, due=end.at + retry.delay))
            continue
        failed.append(end)
        if end.exit_code is ExitCode.USAGE:
            fatal = fatal or f"the renderer refuses the run: {end.reason}"
    again.sort(key=lambda entry: (entry.due, entry.clip))
    return Outcome(tuple(again), tuple(sorted(failed, key=lambda end: end.clip)), fatal)

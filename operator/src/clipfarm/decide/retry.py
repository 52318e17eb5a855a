"""Which clips are tried again, which have failed for good, and when a run ends early."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clipfarm.run import Retry
from clipfarm.world import Ended, World
from clipfarm_contract.exit_codes import ExitCode

_VARIES = re.compile(r"[^\s/]*\d[^\s/]*|clipfarm-\w+")
"""A word, or a part of a path, that holds a digit; or the name of a scratch folder, which has none now and then."""
_MOST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Again:
    """A clip that gets another attempt, not before ``due``."""

    index: int
    """Its index in the Job; on one machine, its clip."""
    due: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the clips whose last attempt failed."""

    again: tuple[Again, ...] = ()
    failed: tuple[Ended, ...] = ()
    """Failed for good."""
    fatal: str = ""
    """Why the run ends without trying its other clips, if it does."""


def judge(retry: Retry, ended: Sequence[Ended]) -> Outcome:
    """Sort failed attempts: only a clip that ran out of GPU memory is tried again.

    Any other failure would recur, because the same seed makes the same clip; the run goes on without it. A usage error
    concerns every clip, so the run ends without trying the others.
    """
    again, failed, fatal = [], [], ""
    for end in ended:
        if end.exit_code is ExitCode.OUT_OF_VRAM and end.attempts <= retry.limit and not end.final:
            again.append(Again(end.index, due=end.at + retry.delay))
            continue
        failed.append(end)
        if end.exit_code is ExitCode.USAGE:
            fatal = fatal or f"the renderer refuses the run: {end.reason}"
    again.sort(key=lambda entry: (entry.due, entry.index))
    return Outcome(tuple(again), tuple(sorted(failed, key=lambda end: end.index)), fatal)


def stop(retry: Retry, world: World, outcome: Outcome) -> Outcome:
    """End a run in which clips fail alike and none is complete; a run that ended so stays ended."""
    fatal = outcome.fatal or ("" if world.made else _all_alike(retry, outcome.failed)) or world.fatal
    return replace(outcome, fatal=fatal)


def alike(reason: str) -> str:
    """Return what a reason has in common with those of other clips: all but words with a digit.

    Numbers, seeds, and names of clips and scratch folders differ between clips even if the cause is the same.
    """
    return _VARIES.sub("…", reason[:_MOST_TEXT])


def _all_alike(retry: Retry, failed: Sequence[Ended]) -> str:
    """Return why the run ends, if ``stopAfter`` clips have failed alike; none is complete."""
    if not retry.stop_after:
        return ""
    first: dict[str, str] = {}
    clips: Counter[str] = Counter()
    for end in failed:
        kind = alike(end.reason)
        first.setdefault(kind, end.reason)
        clips[kind] += end.clips
    kind, count = clips.most_common(1)[0] if clips else ("", 0)
    if count < retry.stop_after:
        return ""
    return f"{retry.stop_after} clips failed alike before the first was complete (retry.stopAfter): {first[kind]}"

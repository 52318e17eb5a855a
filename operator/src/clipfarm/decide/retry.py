"""Which clips are tried again, which have failed for good, and when a run ends early."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from clipfarm.retry import Retry
from clipfarm.world import Ended, World
from clipfarm_contract.exit_codes import WORTH_ANOTHER_ATTEMPT, ExitCode
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.reasons import alike

UNKNOWN = re.compile(
    r"^(clip \d+: failed \(64\): )?experiment\."
    r"(name: found |violations\.kinds: found |layers: found |.*unknown field|.*unknown factor of (?P<owner>[\w-]+))"
)
"""What a renderer says of an experiment of which it does not know a part."""
STARVED = (
    "a queue gives the Job no more pods, and those it has are of blocks that have failed: see status.failures, then"
    " `clipfarm retry`"
)


@dataclass(frozen=True, slots=True)
class Again:
    """A clip that gets another attempt, not before ``due``."""

    index: int
    """Its index in the Job; on one machine, its clip."""
    due: float
    gave_up: bool = False
    """Whether its pod ended before all of its clips were tried."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the clips whose last attempt failed."""

    again: tuple[Again, ...] = ()
    failed: tuple[Ended, ...] = ()
    """Failed for good."""
    fatal: str = ""
    """Why the run ends without trying its other clips, if it does."""


def judge(retry: Retry, ended: Sequence[Ended]) -> Outcome:
    """Sort failed attempts: a clip that ran out of GPU memory is tried again, and a block that was given up.

    A block that broke off has counted the attempts of its clips itself, and goes on until it is known to have broken
    off too often.
    Any other failure would recur, because the same seed makes the same clip; the run goes on without it. A usage error
    concerns every clip, so the run ends without trying the others.
    """
    again, failed, fatal = [], [], ""
    for end in ended:
        counted = end.exit_code in WORTH_ANOTHER_ATTEMPT and end.attempts <= retry.limit
        if (counted or end.exit_code is ExitCode.BROKE_OFF) and not end.final:
            again.append(Again(end.index, end.at + retry.delay, gave_up=end.exit_code is ExitCode.GAVE_UP))
            continue
        failed.append(end)
        if end.exit_code is ExitCode.USAGE:
            fatal = fatal or f"the renderer refuses the run: {end.reason}{_advice(end.reason)}"
    again.sort(key=lambda entry: (entry.due, entry.index))
    return Outcome(tuple(again), tuple(sorted(failed, key=lambda end: end.index)), fatal)


def _advice(reason: str) -> str:
    """Return what to do if a renderer does not know a part of an experiment that was checked before it started.

    A module's factors were not: only the renderer knows them.
    """
    unknown = UNKNOWN.search(reason)
    if unknown is None or (unknown["owner"] or "push") not in EXPERIMENTS:
        return ""
    return "; clipfarm knows it here, so the renderer's image is older: use images of one version"


def stop(retry: Retry, world: World, outcome: Outcome) -> Outcome:
    """End a run in which clips fail alike and none is complete; a run that ended so stays ended.

    Clips of a block that was given up count, although it gets another attempt, which is for the clips not tried. In a
    run that ends there is none.
    """
    tried = outcome.failed + world.gave_up
    fatal = outcome.fatal or ("" if world.made else _all_alike(retry, tried)) or world.fatal
    if world.starved and world.rendered + len(outcome.failed) < world.total:
        fatal = fatal or STARVED
    if not fatal:
        return outcome
    running = {pod.index for pod in world.running}
    left = outcome.failed + tuple(end for end in world.gave_up if end.index not in running)
    again = tuple(entry for entry in outcome.again if not entry.gave_up)
    return Outcome(again, tuple(sorted(left, key=lambda end: end.index)), fatal)


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
    clips_failed = "a clip failed" if retry.stop_after == 1 else f"{retry.stop_after} clips failed alike"
    return f"{clips_failed} before the first was complete (retry.stopAfter): {first[kind]}"

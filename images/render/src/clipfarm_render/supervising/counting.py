"""How often a clip that runs out of GPU memory is tried: counted by clip, in its result.

A block of clips breaks off at the first one that ran out, and its Job's next pod goes on there. Were the block's
attempts counted, two clips that ran out once each would use up the one retry of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from clipfarm_contract.attempts import MOST_JOB, Attempts
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.result import ClipResult
from clipfarm_render.supervising.choosing import UsageError


@dataclass(frozen=True, slots=True)
class Counting:
    """The attempts that clips of a Job have."""

    job: str = ""
    """What identifies the Job; empty: nothing is counted."""
    limit: int = 0
    """How often a clip is tried again."""

    @classmethod
    def asked(cls, limit: int | None, job: str) -> "Counting":
        """Return what a command line asks for.

        Raises:
            UsageError: one of the two is missing, or cannot be kept.
        """
        if (limit is None) != (not job):
            raise UsageError("expected --retry-limit and --job together")
        if len(job) > MOST_JOB:
            raise UsageError(f"--job: found {len(job)} characters, expected at most {MOST_JOB}")
        return cls(job, limit or 0)

    def counted(self, result: ClipResult, earlier: ClipResult | None) -> ClipResult:
        """Return a result with its clip's count, which this attempt is in.

        Args:
            result: how the attempt ended.
            earlier: what the one before it left; None: nothing.
        """
        if not self.job:
            return result
        before = earlier.attempts if earlier else None
        ran_out = before.ran_out if before and before.job == self.job else 0
        if result.exit_code is not ExitCode.OUT_OF_VRAM:
            return replace(result, attempts=Attempts(self.job, ran_out))
        ran_out += 1
        told = f" (in {ran_out} attempts)" if 1 < ran_out == self.limit + 1 else ""
        return replace(result, reason=f"{result.reason}{told}", attempts=Attempts(self.job, ran_out))

    def has_another(self, result: ClipResult) -> bool:
        """Return whether a clip has attempts left. Where nothing is counted, that is for others to decide."""
        if result.exit_code is not ExitCode.OUT_OF_VRAM:
            return False
        return not self.job or (result.attempts is not None and result.attempts.ran_out <= self.limit)

    def settled(self, run: RunFolder, clips: Sequence[int]) -> dict[int, ClipResult]:
        """Return the clips of a block that have failed for good in earlier pods of the Job, with their results.

        These ran out in every attempt, or failed before the clip at which the block broke off. A block that was given
        up has no such clip: there the next pod tries again what failed. A clip that was not tried because of what was
        in its folder is not among them: the folder may have been put right since, and looking costs nothing.
        """
        if not self.job:
            return {}
        known = {clip: found for clip in clips if (found := self.earlier(run, clip)) is not None}
        reached = max(
            (place for place, clip in enumerate(clips) if clip in known and _ran_out(known[clip])), default=-1
        )
        return {
            clip: known[clip]
            for clip in clips[: reached + 1]
            if clip in known and _has_failed(known[clip]) and not self.has_another(known[clip])
        }

    def earlier(self, run: RunFolder, clip: int) -> ClipResult | None:
        """Return what the last attempt at a clip within the Job left; None: there was none, or it cannot be read."""
        if not self.job:
            return None
        try:
            found = ClipResult.read(run.result(clip))
        except (OSError, ContractError):
            return None
        return found if found.attempts is not None and found.attempts.job == self.job else None


NOT_COUNTED = Counting()


def _has_failed(result: ClipResult) -> bool:
    """Return whether a clip was tried and is not complete; an attempt takes time."""
    return result.exit_code is not ExitCode.OK and bool(result.seconds)


def _ran_out(result: ClipResult) -> bool:
    return result.attempts is not None and result.attempts.ran_out > 0

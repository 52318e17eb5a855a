"""GPU memory that a run's clips took, as their renderers report it."""

import math
import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from clipfarm.world import ClipMemory
from clipfarm_contract.result import VramUse

KEPT = 200
"""Clips that the means are over, the latest; the largest peak counts for ever."""
REMEMBERED = 5000
"""Pods whose reports are known to be counted: more than end between two looks at all ended pods."""


@dataclass
class LearnedMemory:
    """What finished clips have reported, each counted once."""

    _peak_mib: float = 0.0
    _clips: int = 0
    _latest: dict[str, None] = field(default_factory=dict)
    """The latest pods whose reports are counted."""
    _reports: deque[VramUse] = field(default_factory=lambda: deque(maxlen=KEPT))
    _before: ClipMemory | None = None
    """What an earlier process had learned."""
    _summary: ClipMemory | None = None
    """Worked out since the last report; None: not yet. It is asked for on each tick."""

    def add(self, pod: str, clips: Iterable[VramUse]) -> None:
        """Count what a pod reports of its clips, unless it was counted before."""
        if pod in self._latest:
            return
        self._latest[pod] = None
        self._summary = None
        if len(self._latest) > REMEMBERED:
            del self._latest[next(iter(self._latest))]
        for clip in clips:
            self._peak_mib = max(self._peak_mib, clip.peak_mib)
            self._clips += 1
            self._reports.append(clip)

    def restore(self, before: ClipMemory) -> None:
        """Go on from what an earlier process had learned, unless this one has learned something already."""
        if not self._clips:
            self._before, self._summary = before, None

    def summary(self) -> ClipMemory | None:
        """Return it for the rules; None before the first report."""
        if self._summary is None:
            self._summary = self._worked_out()
        return self._summary

    def _worked_out(self) -> ClipMemory | None:
        now = self._now() if self._clips else None
        if now is None or self._before is None:
            return now or self._before
        return _joined(self._before, now, new=len(self._reports))

    def _now(self) -> ClipMemory:
        averages = [clip.average_mib for clip in self._reports]
        # At any moment of any clip: it differs from its own average, and that from the others'.
        variance = statistics.fmean(clip.deviation_mib**2 for clip in self._reports) + statistics.pvariance(averages)
        return ClipMemory(
            peak_mib=self._peak_mib,
            mean_mib=statistics.fmean(clip.peak_mib for clip in self._reports),
            average_mib=statistics.fmean(averages),
            deviation_mib=math.sqrt(variance),
            allocated_after=statistics.fmean(clip.allocated_after for clip in self._reports),
            clips=self._clips,
        )


def _joined(before: ClipMemory, now: ClipMemory, new: int) -> ClipMemory:
    """Return one summary of clips of two processes, weighted by how many of each are among the latest KEPT.

    Variances by the law of total variance: the mean of the variances, and the variance of the means.
    """
    part = new / (new + min(before.clips, KEPT - new))

    def mean(one: float, other: float) -> float:
        return (1 - part) * one + part * other

    apart = part * (1 - part) * (before.average_mib - now.average_mib) ** 2
    return ClipMemory(
        peak_mib=max(before.peak_mib, now.peak_mib),
        mean_mib=mean(before.mean_mib, now.mean_mib),
        average_mib=mean(before.average_mib, now.average_mib),
        deviation_mib=math.sqrt(mean(before.deviation_mib**2, now.deviation_mib**2) + apart),
        allocated_after=mean(before.allocated_after, now.allocated_after),
        clips=before.clips + now.clips,
    )

"""GPU memory that a run's clips took, as the renderers report it."""

import math
import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from clipfarm.world import ClipMemory
from clipfarm_contract.result import VramUse

KEPT = 200
"""Clips that means are made of; the largest of all counts for ever."""


@dataclass
class Memory:
    """What finished clips have told; each once."""

    _peak_mib: float = 0.0
    _clips: int = 0
    _latest: dict[str, None] = field(default_factory=dict)
    """Pods that were taken in, of late."""
    _told: deque[VramUse] = field(default_factory=lambda: deque(maxlen=KEPT))

    def take_in(self, pod: str, clips: Iterable[VramUse]) -> None:
        """Take in what a pod tells of its clips."""
        if pod in self._latest:
            return
        self._latest[pod] = None
        if len(self._latest) > KEPT:
            del self._latest[next(iter(self._latest))]
        for clip in clips:
            self._peak_mib = max(self._peak_mib, clip.peak_mib)
            self._clips += 1
            self._told.append(clip)

    def summary(self) -> ClipMemory | None:
        """Return it for the rules; None before anything was told."""
        if not self._clips:
            return None
        averages = [clip.average_mib for clip in self._told]
        # At any moment of any clip: it differs from its own average, and that from the others'.
        variance = statistics.fmean(clip.deviation_mib**2 for clip in self._told) + statistics.pvariance(averages)
        return ClipMemory(
            peak_mib=self._peak_mib,
            mean_mib=statistics.fmean(clip.peak_mib for clip in self._told),
            average_mib=statistics.fmean(averages),
            deviation_mib=math.sqrt(variance),
            allocated_after=statistics.fmean(clip.allocated_after for clip in self._told),
            clips=self._clips,
        )

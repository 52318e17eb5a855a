"""GPU memory that a run's clips took, as the renderers report it."""

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from clipfarm.world import ClipMemory

KEPT = 200
"""Clips that means are made of; the largest of all counts for ever."""


@dataclass
class Memory:
    """What finished clips have told; each once."""

    _peak_mib: float = 0.0
    _clips: int = 0
    _latest: dict[str, None] = field(default_factory=dict)
    """Pods that were taken in."""
    _peaks: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _averages: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _allocated: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    def take_in(self, pod: str, clips: Iterable[tuple[float, float, float]]) -> None:
        """Take in what a pod tells of its clips: peak and average, MiB, and seconds until they had allocated."""
        if pod in self._latest:
            return
        self._latest[pod] = None
        for peak, average, allocated in clips:
            self._peak_mib = max(self._peak_mib, peak)
            self._clips += 1
            self._peaks.append(peak)
            self._averages.append(average)
            self._allocated.append(allocated)

    def summary(self) -> ClipMemory | None:
        """Return it for the rules; None before anything was told."""
        if not self._clips:
            return None
        mean, average, allocated = map(statistics.fmean, (self._peaks, self._averages, self._allocated))
        return ClipMemory(self._peak_mib, mean, average, allocated, self._clips)

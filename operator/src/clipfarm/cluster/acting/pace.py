"""How fast the Jobs of all runs together are given pods.

A Job controller makes all pods that are missing at once, and while it does every other request waits. One Job gets
:data:`~clipfarm.cluster.acting.parallelism.STEP` more at a time; thirty Jobs that begin at the same moment would still
get hundreds within a second.
"""

import math
from dataclasses import dataclass

PODS_PER_SECOND = 64.0
"""An API server on two cores makes 60 to 80 pods a second, with all that belongs to them."""
MOST = 64.0
"""Pods that may come at once after a pause; ticks of many runs are up to a second apart."""


@dataclass(slots=True)
class Pace:
    """A bucket of pods that fills up with time."""

    _left: float = MOST
    _at: float = float("-inf")

    def left(self, now: float) -> int:
        """Return how many pods more Jobs may be given now."""
        self._left, self._at = min(MOST, self._left + max(0.0, now - self._at) * PODS_PER_SECOND), now
        return int(self._left)

    def of_each(self, runs: int, now: float) -> int:
        """Return how many of them each of so many runs may have; none comes before the others."""
        return math.ceil(self.left(now) / max(1, runs))

    def take(self, pods: int) -> None:
        """Count pods that Jobs are given."""
        self._left = max(0.0, self._left - pods)

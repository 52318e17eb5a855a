"""How fast the Jobs of all runs together are given pods: as fast as the API server can carry it.

A Job controller makes all pods that are missing at once, and while it does every other request waits, the one that
takes a gate off among them. How many pods a second are too many depends on the API server: on two cores it makes 60 to
80 with all that belongs to them, and a third of that if as many clips end meanwhile. So the pace follows how long it
takes until a gate is off: it falls by a part when that is slow, and rises by a step when it is fast (additive increase,
multiplicative decrease, as TCP's congestion control: Chiu and Jain, 1989).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

FIRST_PER_SECOND = 32.0
"""Pods a second, before anything is known of the API server. With 64, thirty runs that began together on two cores had
gates that took 1.9 s."""
LEAST_PER_SECOND = 12.0
MOST_PER_SECOND = 128.0
STEP_PER_SECOND = 1.0
"""By how much the pace rises after each tick for which gates came off fast."""
PART = 0.7
"""To which part it falls after a tick for which they came off slowly."""
WHILE_SECONDS = 1.0
"""It falls no more often than this: a burst is slow for several ticks."""
SLOW_SECONDS = 0.15
"""From the decision until a gate is off, for one in ten."""
FAST_SECONDS = 0.08
AT_ONCE_SECONDS = 0.5
"""As many pods as the pace allows in this time may come at once: ticks of many runs are that far apart."""


@dataclass(slots=True)
class Pace:
    """A bucket of pods that fills up with time."""

    per_second: float = FIRST_PER_SECOND
    _left: float = FIRST_PER_SECOND * AT_ONCE_SECONDS
    _at: float = float("-inf")
    _fell_at: float = float("-inf")

    def learn(self, seconds: Collection[float], now: float) -> None:
        """Follow how long it took until gates were off, of those that came off since the last tick."""
        if not seconds:
            return
        slowest = sorted(seconds)[math.ceil(0.9 * len(seconds)) - 1]
        if slowest > SLOW_SECONDS:
            if now >= self._fell_at + WHILE_SECONDS:
                self.per_second, self._fell_at = max(LEAST_PER_SECOND, self.per_second * PART), now
        elif slowest < FAST_SECONDS:
            self.per_second = min(MOST_PER_SECOND, self.per_second + STEP_PER_SECOND)

    def left(self, now: float) -> int:
        """Return how many pods more Jobs may be given now."""
        filled = self._left + max(0.0, now - self._at) * self.per_second
        self._left, self._at = min(self.per_second * AT_ONCE_SECONDS, filled), now
        return int(self._left)

    def of_each(self, runs: int, now: float) -> int:
        """Return how many of them the next of so many runs may have, if each of them is given as many."""
        return math.ceil(self.left(now) / max(1, runs))

    def take(self, pods: int) -> None:
        """Count pods that Jobs are given."""
        self._left = max(0.0, self._left - pods)

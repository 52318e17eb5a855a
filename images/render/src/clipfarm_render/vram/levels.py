"""Statistics of something that has one value after another, each until the next."""

import math


class Levels:
    """Takes in values with their times, which only grow."""

    def __init__(self) -> None:
        self._taken: list[tuple[float, float]] = []
        self.peak = 0.0
        """The largest so far; 0 where there was none."""

    def take(self, at: float, value: float) -> None:
        """Take in a value that counts from a moment on."""
        self._taken.append((at, value))
        self.peak = max(self.peak, value)

    @property
    def average(self) -> float:
        """Mean over the time from the first value to the last."""
        return self._mean(1)

    @property
    def deviation(self) -> float:
        """Standard deviation over that time."""
        return math.sqrt(max(0.0, self._mean(2) - self._mean(1) ** 2))

    def reached(self, share: float) -> float:
        """Return when a share of the peak was reached first."""
        return next(at for at, value in self._taken if value >= share * self.peak)

    def _mean(self, power: int) -> float:
        lasted = self._taken[-1][0] - self._taken[0][0]
        if lasted <= 0:
            return self._taken[-1][1] ** power
        pairs = zip(self._taken, self._taken[1:], strict=False)
        return sum(value**power * (until - at) for (at, value), (until, _) in pairs) / lasted

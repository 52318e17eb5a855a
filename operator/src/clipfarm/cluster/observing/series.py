"""How often one Event of a run is written: those in between only count."""

from dataclasses import dataclass

BURST = 3.0
"""Notices of one reason that are written at once."""
SECONDS = 60.0
"""Between two more of them: a GPU whose use swings around a mark would make one every few seconds."""


@dataclass(slots=True)
class Series:
    """What was said of one run with one reason: one Event, whose count grows."""

    first: float
    """When it happened first, Unix time."""
    count: int = 0
    """How often it has happened."""
    made: bool = False
    """Whether the Event is there."""
    _tokens: float = BURST
    _at: float = float("-inf")

    def take(self, now: float) -> bool:
        """Count one more, and return whether it is to be written now.

        The first few are, then one each ``SECONDS``: those in between are in the count of the next one.
        """
        self.count += 1
        self._tokens = min(BURST, self._tokens + (now - self._at) / SECONDS)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

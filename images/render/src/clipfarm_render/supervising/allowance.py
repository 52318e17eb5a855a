"""How long a child may take."""

from dataclasses import dataclass

SHARED_FACTOR = 10
"""Work for all clips of a run may take this many times what a clip may: the background costs as much as five clips of
16 frames (bench/RESULTS.md), and other clips wait while it is being made."""


@dataclass(slots=True)
class Allowance:
    """A child's time by two clocks, of which one stands still while the other runs. All in s."""

    clip: float
    """For the clip itself."""
    since: float
    """When the clock was last read; at first, when it was started."""
    _clip_spent: float = 0.0
    _shared_spent: float = 0.0

    def spend(self, now: float, *, on_shared_work: bool) -> str | None:
        """Count the time since the last call; return what ran out, or None.

        Args:
            now: the monotonic clock.
            on_shared_work: whether the child is making, or waiting for, what all clips of the run will use.
        """
        passed, self.since = now - self.since, now
        if on_shared_work:
            self._shared_spent += passed
        else:
            self._clip_spent += passed
        if self._clip_spent > self.clip:
            return f"timed out after {self.clip:g} s"
        if self._shared_spent > self.clip * SHARED_FACTOR:
            return f"timed out after {self.clip * SHARED_FACTOR:g} s of work for the whole run: kernels, background"
        return None

"""A tick of many runs in slices: in between the event loop goes on, so that no request waits for the whole tick."""

import asyncio
from collections.abc import Callable

SLICE_SECONDS = 0.005
"""How long the event loop waits, about."""
ROUNDS = 3
"""Of the event loop between two slices: a request takes some from its beginning until it is on its way."""


class StoppedLeadingError(Exception):
    """Another operator acts from now on, so the tick ends where it is."""


class Slices:
    """Ends a slice when it has been long enough, and counts the processor time of all slices."""

    def __init__(
        self,
        goes_on: Callable[[], bool],
        clock: Callable[[], float],
        processor_clock: Callable[[], float],
    ) -> None:
        """Begin the first slice.

        Args:
            goes_on: whether the operator still acts.
            clock: seconds.
            processor_clock: seconds of processor time of this thread.
        """
        self._goes_on, self._clock, self._processor_clock = goes_on, clock, processor_clock
        self._spent = 0.0
        self._began, self._began_at = processor_clock(), clock()

    @property
    def spent(self) -> float:
        """Processor time, seconds, of the slices so far."""
        return self._spent + self._processor_clock() - self._began

    async def pause(self) -> None:
        """Let the event loop go on, if this slice has been long enough.

        Raises:
            StoppedLeadingError: the operator acts no more.
        """
        if self._clock() - self._began_at < SLICE_SECONDS:
            return
        self._spent = self.spent
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        self._began, self._began_at = self._processor_clock(), self._clock()
        if not self._goes_on():
            raise StoppedLeadingError

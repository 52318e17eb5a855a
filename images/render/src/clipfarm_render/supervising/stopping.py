"""Why the supervisor has to end early: a signal, or a parent that has gone."""

import signal
from types import FrameType

from clipfarm_contract.parent import Parent
from clipfarm_contract.signals import not_ignored

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stop:
    """Remembers a request to end. Asked often; nothing is interrupted in the middle of a step."""

    def __init__(self, parent: Parent | None = None) -> None:
        self._signal: int | None = None
        self._parent = parent

    def listen(self) -> None:
        """Take the signals over from Python's own handlers."""
        for number in not_ignored(*_SIGNALS):
            signal.signal(number, self._handle)

    @property
    def requested(self) -> bool:
        """Whether to end now."""
        if self._signal is None and self._parent is not None and self._parent.has_ended:
            self._signal = signal.SIGTERM
        return self._signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it; 0 if no signal came."""
        return 0 if self._signal is None else 128 + self._signal

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signal = number

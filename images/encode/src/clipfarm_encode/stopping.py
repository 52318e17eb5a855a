"""Ending on a signal, within a moment and whatever the model is computing.

A Python signal handler runs only between two steps of the interpreter, and one step of a large model on a CPU takes
seconds. What happens at once is that the interpreter writes the signal's number into the wake-up descriptor. A
thread reads it there, lets the files that are being saved be finished, and ends the process.
"""

import os
import signal
import threading
from collections.abc import Callable

from clipfarm_contract.parent import Parent
from clipfarm_contract.signals import not_ignored

_SAVE_SECONDS = 2.0
"""Longest wait for the saves under way: together with the rest this stays below 3 seconds."""


class Latch:
    """Lets any number of threads through at a time, until it is closed."""

    def __init__(self) -> None:
        self._inside = 0
        self._closed = False
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Admit no more, and wait up to ``timeout`` seconds until all have left."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0, timeout)


class Stopper:
    """Ends this process on SIGTERM and SIGINT, or when its parent is gone."""

    def __init__(self) -> None:
        self.saving = Latch()
        """Passed by each thread that saves a clip."""
        self.before_exit: Callable[[], None] | None = None
        """Called once before the process ends, from the thread that ends it."""
        self.may_be_ended = False
        """Whether SIGTERM is how this process is meant to end, with exit status 0."""

    def listen(self) -> None:
        """Wait for signals from now on; to be called in the main thread."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        for number in not_ignored(signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._start("signals", lambda: self._end(self._status(os.read(read, 1)[0])))

    def end_with(self, parent: Parent) -> None:
        """End as after SIGTERM once the process that started this one is gone; now if it is gone already."""
        if parent.has_ended:
            self._end(128 + signal.SIGTERM)

        def wait() -> None:
            parent.wait()
            self._end(128 + signal.SIGTERM)

        self._start("parent", wait)

    def _status(self, number: int) -> int:
        return 0 if number == signal.SIGTERM and self.may_be_ended else 128 + number

    def _end(self, code: int) -> None:
        self.saving.close(_SAVE_SECONDS)
        try:
            if self.before_exit is not None:
                self.before_exit()
        finally:
            os._exit(code)

    @staticmethod
    def _start(name: str, target: Callable[[], None]) -> None:
        threading.Thread(target=target, name=name, daemon=True).start()

"""Whether the process that started this one is still there."""

import contextlib
import os
import select
import time

_POLL_SECONDS = 0.5


class Parent:
    """The process that a program ends with."""

    def __init__(self, pid: int | None = None) -> None:
        """Take note of a process.

        Args:
            pid: of the process that started this one, as that has handed it over. Asked for here it may be another's
                already: the parent may have ended while this process was starting. None: whichever is the parent now.
        """
        self._pid = os.getppid() if pid is None else pid

    @property
    def has_ended(self) -> bool:
        """Whether it is no more: then this process has another parent."""
        return os.getppid() != self._pid

    def wait(self) -> None:
        """Return when it has ended; at once if the kernel reports it (pidfd_open(2)), else within half a second."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(self._pid)
                stack.callback(os.close, descriptor)
                # The number may be another process's by now: only while it is the parent's does it describe the parent.
                if not self.has_ended:
                    select.select([descriptor], [], [])
            while not self.has_ended:
                time.sleep(_POLL_SECONDS)

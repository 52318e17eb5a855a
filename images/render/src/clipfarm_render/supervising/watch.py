"""One child process, watched: what it prints, whether it has ended, and how long it may take."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from enum import Enum
from pathlib import Path
from typing import IO

from clipfarm_render.output import LineSplitter, Tail, is_chatter, say
from clipfarm_render.supervising.allowance import Allowance
from clipfarm_render.supervising.stopping import Stop
from clipfarm_render.vram.messages import means_out_of_vram
from clipfarm_render.vram.use import VramWatch

POLL_SECONDS = 0.1
GRACE_SECONDS = 0.5
"""Between SIGTERM and SIGKILL."""
DRAIN_SECONDS = 1.0
"""How long output is still read after the child has ended."""


class End(Enum):
    """Why a child is no more."""

    EXITED = "exited"
    """By itself, or killed by another process."""
    TIMEOUT = "timeout"
    OUT_OF_VRAM = "out of VRAM"
    """It printed a GPU allocator's failure; ended, whatever it would have returned."""
    STOPPED = "stopped"
    """We were asked to end."""
    ANSWERED = "answered"
    """Not at all: its clip is done, and it waits for another one."""


class Watch:
    """One loop over both of a child's streams, its end, the clock and the request to stop."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        answers: int | None,
        allowance: Allowance,
        stop: Stop,
        shared_work: Path | None,
    ) -> None:
        self.tail = Tail()
        self.vram_line = self.ran_out = ""
        self.vram = VramWatch()
        self._pid, self._answers = process.pid, answers
        self.answer: int | None = None
        """Exit code of its clip, of a child that lives on."""
        self._allowance = allowance
        self._stop = stop
        self._shared_work = shared_work
        self._selector = selectors.DefaultSelector()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            # Two pipes, each with its own lines: in a common one, a half line of stdout and one of stderr would mix.
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, LineSplitter())
        self._end_fd = _end_fd(process.pid)
        for signs in (self._end_fd, answers):
            if signs is not None:
                self._selector.register(signs, selectors.EVENT_READ)

    def until_end(self) -> End:
        """Watch until the child has done its clip, has ended, or has to."""
        while not has_ended(self._pid):
            if self.answer is not None:
                return End.ANSWERED
            if self._stop.requested:
                _terminate_group(self._pid)
                return End.STOPPED
            shared = self._shared_work is not None and self._shared_work.exists()
            if ran_out := self._allowance.spend(time.monotonic(), on_shared_work=shared):
                self.ran_out = ran_out
                _terminate_group(self._pid)
                return End.TIMEOUT
            self._read(POLL_SECONDS)
            if self.vram_line:
                return End.OUT_OF_VRAM
        return End.EXITED

    def leave(self) -> None:
        """Read what the child has printed for its clip, and leave its streams open for the next one."""
        self._forget_signs()
        while self._read(0):
            pass
        for key in list(self._selector.get_map().values()):
            self._take(key.data.end())
        self._selector.close()

    def drain(self) -> None:
        """Read what is left. A process that has fled from the group may hold a stream open: not waited for."""
        self._forget_signs()
        until = time.monotonic() + DRAIN_SECONDS
        while self._selector.get_map() and time.monotonic() < until:
            self._read(POLL_SECONDS)
        for key in list(self._selector.get_map().values()):
            self._close(key)
        self._selector.close()

    def _forget_signs(self) -> None:
        for sign in (self._end_fd, self._answers):
            if sign is not None:
                self._selector.unregister(sign)
        if self._end_fd is not None:
            os.close(self._end_fd)

    def _read(self, seconds: float) -> bool:
        """Take in what comes within some time; tell whether anything was printed."""
        if not self._selector.get_map():
            time.sleep(seconds)
        printed = False
        for key, _ in self._selector.select(seconds):
            if key.fd == self._end_fd:
                continue
            if key.fd == self._answers:
                answer = os.read(key.fd, 1)
                self.answer = answer[0] if answer else None
                if not answer:  # it has closed it
                    self._selector.unregister(key.fd)
                    self._answers = None
                continue
            data = os.read(key.fd, 65_536)
            printed = True
            if data:
                self._take(key.data.feed(data))
            else:
                self._close(key)
        return printed

    def _close(self, key: selectors.SelectorKey) -> None:
        stream: IO[bytes] = key.fileobj  # type: ignore[assignment]  # it is what we registered
        self._take(key.data.end())
        self._selector.unregister(stream)
        stream.close()

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            if not self.vram_line and means_out_of_vram(line):
                self.vram_line = line
            elif is_chatter(line):
                self.vram.take(line)
                continue
            self.tail.add(line)
            say(line)


def has_ended(pid: int) -> bool:
    """Tell whether the child has ended, without reaping it: its number stays taken, so its group can be killed."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_fd(pid: int) -> int | None:
    """Return what becomes readable when a process ends; None where the kernel has no such thing, and we poll."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _terminate_group(pid: int) -> None:
    """Ask the child's group to end, and wait a little for the child to do so."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
    until = time.monotonic() + GRACE_SECONDS
    while not has_ended(pid) and time.monotonic() < until:
        time.sleep(POLL_SECONDS / 5)

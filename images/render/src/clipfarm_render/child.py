"""One child process: started, watched, ended."""

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import IO

from clipfarm_render.output import LineSplitter, Tail, is_chatter, say
from clipfarm_render.stopping import Stop
from clipfarm_render.vram_messages import means_out_of_vram

POLL_SECONDS = 0.1
GRACE_SECONDS = 0.5
"""Between SIGTERM and SIGKILL."""
DRAIN_SECONDS = 1.0
"""How long output is still read after the child has ended."""
_PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


class End(Enum):
    """Why a child is no more."""

    EXITED = "exited"
    """By itself, or killed by somebody else."""
    TIMEOUT = "timeout"
    OUT_OF_VRAM = "out of VRAM"
    """It printed a GPU allocator's failure; ended, whatever it would have returned."""
    STOPPED = "stopped"
    """We were asked to end."""


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a child ended."""

    how: End
    status: int
    """Exit status, or minus the number of the signal that killed it."""
    vram_line: str
    """The line that told of GPU memory; empty where there was none."""
    tail: Tail
    cpu_seconds: float
    peak_rss_mib: float


def run(command: Sequence[str], environ: Mapping[str, str], timeout: float, stop: Stop) -> ChildEnd:
    """Run a command to its end, in a process group of its own, and pass on what it prints to our stderr.

    Nothing of the group is left when this returns, and the kernel kills the child should we be killed ourselves.
    Has to be called from the main thread: the kernel's promise is bound to the thread that starts the child.

    Args:
        command: program and arguments.
        environ: the child's whole environment.
        timeout: s; a child that takes longer is ended.
        stop: when it asks, the child is ended.

    Raises:
        OSError: the command cannot be started.
    """
    process = subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
        # Of our threads only this one is in the child, and what it does there takes no lock that another could hold.
        preexec_fn=_die_with_parent(),
    )
    watch = _Watch(process, deadline=time.monotonic() + timeout, stop=stop)
    try:
        how = watch.until_end()
    finally:
        _kill_group(process.pid)
        watch.drain()
        _, wait_status, usage = os.wait4(process.pid, 0)
        # Popen did not see the end itself, and would go on waiting for it.
        process.returncode = os.waitstatus_to_exitcode(wait_status)
    if watch.vram_line and how is not End.STOPPED:
        how = End.OUT_OF_VRAM
    return ChildEnd(
        how=how,
        status=process.returncode,
        vram_line=watch.vram_line,
        tail=watch.tail,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_rss_mib=usage.ru_maxrss / 1024,
    )


class _Watch:
    """One loop over both of a child's streams, its end, the clock and the request to stop."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float, stop: Stop) -> None:
        self.tail = Tail()
        self.vram_line = ""
        self._pid = process.pid
        self._deadline = deadline
        self._stop = stop
        self._selector = selectors.DefaultSelector()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            # Two pipes, each with its own lines: in a common one, a half line of stdout and one of stderr would mix.
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, LineSplitter())

    def until_end(self) -> End:
        """Watch until the child has ended or has to."""
        while not _has_ended(self._pid):
            if self._stop.requested:
                _terminate_group(self._pid)
                return End.STOPPED
            if time.monotonic() > self._deadline:
                _terminate_group(self._pid)
                return End.TIMEOUT
            self._read(POLL_SECONDS)
            if self.vram_line:
                return End.OUT_OF_VRAM
        return End.EXITED

    def drain(self) -> None:
        """Read what is left. A process that has fled from the group may hold a stream open: not waited for."""
        until = time.monotonic() + DRAIN_SECONDS
        while self._selector.get_map() and time.monotonic() < until:
            self._read(POLL_SECONDS)
        for key in list(self._selector.get_map().values()):
            self._close(key)
        self._selector.close()

    def _read(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, 65_536)
            if data:
                self._take(key.data.feed(data))
            else:
                self._close(key)

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
                continue
            self.tail.add(line)
            say(line)


def _has_ended(pid: int) -> bool:
    """Tell whether the child has ended, without reaping it: its number stays taken, so its group can be killed."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _terminate_group(pid: int) -> None:
    """Ask the child's group to end, and wait a little for the child to do so."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
    until = time.monotonic() + GRACE_SECONDS
    while not _has_ended(pid) and time.monotonic() < until:
        time.sleep(POLL_SECONDS / 5)


def _kill_group(pid: int) -> None:
    """Kill whatever is left of the child's group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _die_with_parent() -> Callable[[], None]:
    """Return what the child does between fork and exec: ask the kernel for SIGKILL when its parent ends."""
    # All loaded and looked up before the fork; only the calls are left for after it.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    getppid, kill, getpid, parent = os.getppid, os.kill, os.getpid, os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if getppid() != parent:  # it ended before the kernel knew
            kill(getpid(), signal.SIGKILL)

    return prepare

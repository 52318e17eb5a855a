"""One child process: started, watched, ended."""

import contextlib
import ctypes
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO

from clipfarm_contract.result import VramUse
from clipfarm_render.allowance import Allowance
from clipfarm_render.output import LineSplitter, Tail, is_chatter, say
from clipfarm_render.stopping import Stop
from clipfarm_render.vram_messages import means_out_of_vram
from clipfarm_render.vram_use import VramWatch

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
    ran_out: str
    """Which time ran out; empty where none did."""
    tail: Tail
    cpu_seconds: float
    peak_rss_mib: float
    vram: VramUse | None = None
    """By what Cycles printed, of whatever device it rendered on."""


class Child:
    """A process in a process group of its own.

    Nothing of the group is left once it has been followed to its end or discarded, and the kernel kills the child
    should we be killed ourselves. Has to be made in the main thread: the kernel's promise is bound to the thread that
    starts the child.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], *, waits: bool = False) -> None:
        """Start a command.

        Args:
            command: program and arguments.
            environ: the child's whole environment.
            waits: whether it waits for a line on its standard input before it goes on; ``follow`` sends it.

        Raises:
            OSError: the command cannot be started.
        """
        self._process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            # Of our threads only this one is in the child, and what it does there takes no lock that another could
            # hold.
            preexec_fn=_die_with_parent(),
        )

    def follow(self, timeout: float, stop: Stop, shared_work: Path | None = None) -> ChildEnd:
        """Let it go on if it waits, and pass on what it prints to our stderr until it has ended or has to.

        Args:
            timeout: s from now; a child that takes longer is ended.
            stop: when it asks, the child is ended.
            shared_work: while this file is there, the child works for other clips too, and its clock stands still.
        """
        self._let_go_on()
        watch = _Watch(self._process, Allowance(timeout, time.monotonic()), stop, shared_work)
        try:
            how = watch.until_end()
        finally:
            usage = self._end(watch)
        if watch.vram_line and how is not End.STOPPED:
            how = End.OUT_OF_VRAM
        return ChildEnd(
            how=how,
            status=self._process.returncode,
            vram_line=watch.vram_line,
            ran_out=watch.ran_out,
            tail=watch.tail,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_rss_mib=usage.ru_maxrss / 1024,
            vram=watch.vram.summary(),
        )

    @property
    def pid(self) -> int:
        """Number of the process, and of its group."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is no more."""
        return _has_ended(self._process.pid)

    def discard(self) -> None:
        """End it, whatever it does."""
        if self._process.returncode is None:
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
            self._end(None)

    def _let_go_on(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended, as will be seen
                self._process.stdin.write(b"\n")
                self._process.stdin.close()

    def _end(self, watch: "_Watch | None") -> resource.struct_rusage:
        _kill_group(self._process.pid)
        if watch is not None:
            watch.drain()
        _, wait_status, usage = os.wait4(self._process.pid, 0)
        # Popen did not see the end itself, and would go on waiting for it.
        self._process.returncode = os.waitstatus_to_exitcode(wait_status)
        return usage


class _Watch:
    """One loop over both of a child's streams, its end, the clock and the request to stop."""

    def __init__(
        self, process: subprocess.Popen[bytes], allowance: Allowance, stop: Stop, shared_work: Path | None
    ) -> None:
        self.tail = Tail()
        self.vram_line = self.ran_out = ""
        self.vram = VramWatch()
        self._pid = process.pid
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
        if self._end_fd is not None:
            self._selector.register(self._end_fd, selectors.EVENT_READ)

    def until_end(self) -> End:
        """Watch until the child has ended or has to."""
        while not _has_ended(self._pid):
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

    def drain(self) -> None:
        """Read what is left. A process that has fled from the group may hold a stream open: not waited for."""
        if self._end_fd is not None:
            self._selector.unregister(self._end_fd)
            os.close(self._end_fd)
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
            if key.fd == self._end_fd:
                continue
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
                self.vram.take(line)
                continue
            self.tail.add(line)
            say(line)


def _has_ended(pid: int) -> bool:
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

"""One child process: started, watched, ended."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipfarm_contract.result import VramUse
from clipfarm_render.output import Tail
from clipfarm_render.supervising.allowance import Allowance
from clipfarm_render.supervising.stopping import Stop
from clipfarm_render.supervising.watch import End, Watch, has_ended

_PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a child ended."""

    how: End
    status: int
    """Exit status, or minus the number of the signal that killed it; of a child that lives on, what it answered."""
    vram_line: str
    """The line that told of GPU memory; empty where there was none."""
    ran_out: str
    """Which time ran out; empty where none did."""
    tail: Tail
    cpu_seconds: float
    peak_rss_mib: float
    vram: VramUse | None = None
    """By Cycles' own count, of whatever device it rendered on."""


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
            waits: whether it waits for a line on its standard input before it goes on; ``follow`` sends it. Such a
                child gets a last argument: the number of a file descriptor. When its clip is done it may write its
                exit code there, as one byte, and wait for another line.

        Raises:
            OSError: the command cannot be started.
        """
        self._answers: int | None
        self._answers, answer = os.pipe() if waits else (None, None)
        try:
            self._process = subprocess.Popen(
                [*command, str(answer)] if waits else command,
                env=environ,
                stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
                pass_fds=() if answer is None else (answer,),
                # Of our threads only this one is in the child, and what it does there takes no lock that another could
                # hold.
                preexec_fn=_die_with_parent(),
            )
        except BaseException:
            self._close_answers()
            raise
        finally:
            if answer is not None:
                os.close(answer)
        self.started = time.monotonic()
        self._spent = 0.0
        self.clips = 0
        """How many clips it was given."""

    @property
    def pid(self) -> int:
        """Number of the process, and of its group."""
        return self._process.pid

    def follow(self, timeout: float, stop: Stop, shared_work: Path | None = None) -> ChildEnd:
        """Let it go on if it waits, and pass on what it prints to our stderr until its clip is done or it has to end.

        Args:
            timeout: s from now; a child that takes longer is ended.
            stop: when it asks, the child is ended.
            shared_work: while this file is there, the child works for other clips too, and its clock stands still.
        """
        self._let_go_on()
        self.clips += 1
        watch = Watch(self._process, self._answers, Allowance(timeout, time.monotonic()), stop, shared_work)
        how = End.STOPPED
        try:
            how = watch.until_end()
        finally:
            if how is not End.ANSWERED:
                self._end(watch)
        if how is End.ANSWERED:
            watch.leave()
        if watch.vram_line and how is not End.STOPPED:
            how = End.OUT_OF_VRAM
        return ChildEnd(
            how=how,
            status=(watch.answer or 0) if self._process.returncode is None else self._process.returncode,
            vram_line=watch.vram_line,
            ran_out=watch.ran_out,
            tail=watch.tail,
            cpu_seconds=self._spend(),
            peak_rss_mib=self._peak_rss_mib(),
            vram=watch.vram.summary(),
        )

    @property
    def has_ended(self) -> bool:
        """Whether it is no more."""
        return has_ended(self._process.pid)

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
                self._process.stdin.flush()

    def _end(self, watch: Watch | None) -> None:
        _kill_group(self._process.pid)
        if watch is not None:
            watch.drain()
        _, wait_status, self._usage = os.wait4(self._process.pid, 0)
        # Popen did not see the end itself, and would go on waiting for it.
        self._process.returncode = os.waitstatus_to_exitcode(wait_status)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._close_answers()

    def _close_answers(self) -> None:
        if self._answers is not None:
            os.close(self._answers)
            self._answers = None

    def _spend(self) -> float:
        """Return the CPU seconds since the clip before; of the first clip, since the start."""
        if self._process.returncode is None:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            spent = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # its own and its children's
        else:
            spent = self._usage.ru_utime + self._usage.ru_stime
        before, self._spent = self._spent, spent
        return max(0.0, spent - before)

    def _peak_rss_mib(self) -> float:
        if self._process.returncode is not None:
            return self._usage.ru_maxrss / 1024
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


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

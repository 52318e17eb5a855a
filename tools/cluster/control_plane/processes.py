"""Starting and ending our own processes, and no others.

A process is known by its number, the time it started and the boot it started in: a number alone may belong to
somebody else by the time it is used. Signals go through a pidfd, which cannot come to mean another process.
"""

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process, for all time."""

    pid: int
    started: int  # clock ticks after boot
    boot: str

    @property
    def alive(self) -> bool:
        """Whether it still runs; a process that has ended and waits for its parent does not."""
        return identify(self.pid) == self

    @property
    def age(self) -> float:
        """Seconds since it started."""
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return uptime - self.started / os.sysconf("SC_CLK_TCK")


def identify(pid: int) -> Process | None:
    """The process that has this number now."""
    try:
        state, process = _read(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else process


def start(command: list[str], log: Path, environment: dict[str, str]) -> Process:
    """Start a process that outlives this one, its output added to a log file."""
    with log.open("a") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    # Until somebody waits for it, a child that has ended keeps its number: what is read here is the child's.
    _, process = _read(child.pid)
    # It is meant to live on: without this Python warns about a child that nobody waited for.
    child.returncode = 0
    return process


def _read(pid: int) -> tuple[str, Process]:
    # The second field is the program's name in brackets, and may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return fields[0], Process(pid, int(fields[19]), boot)


def end(processes: list[Process], number: signal.Signals = signal.SIGTERM, patience: float = 10.0) -> None:
    """Send a signal to all, wait until they are gone, and kill what is left after ``patience`` seconds."""
    with ExitStack() as stack:
        # Kept from the signal to the end: a process whose first thread has ended looks gone, but its other threads may
        # still hold its ports. A handle tells of the last one.
        handles = [handle for process in processes if (handle := stack.enter_context(_handle(process))) is not None]
        for handle in handles:
            signal.pidfd_send_signal(handle, number)
        for handle in handles:
            if not select.select([handle], [], [], patience)[0]:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [])


def wait(process: Process) -> None:
    """Wait until a process has ended."""
    with _handle(process) as handle:
        if handle is not None:
            select.select([handle], [], [])


@contextmanager
def _handle(process: Process) -> Iterator[int | None]:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        # Only now that the handle holds on to whatever has the number: is it ours?
        yield handle if process.alive else None
    finally:
        os.close(handle)

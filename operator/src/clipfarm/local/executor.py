"""The loop: look, decide, do, until there is nothing left to do or somebody says stop."""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clipfarm.decide.plan import decide
from clipfarm.decide.status import Status
from clipfarm.local import processes
from clipfarm.local.apply import apply
from clipfarm.local.job import Job
from clipfarm.local.observe import observe
from clipfarm.local.scan import FolderError, Scan
from clipfarm.local.state import State
from clipfarm_contract import regular
from clipfarm_contract.clip import write_atomically
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.signals import not_ignored

TICK = 1.0
"""Seconds between two looks when nothing happens; a process that ends, or a signal, wakes the loop at once."""


def run(job: Job, found: Scan, show: Callable[[Status], None]) -> tuple[Status, signal.Signals | None]:
    """Carry a job through; return its last status, and the signal that ended it early, if any.

    Clips that are being rendered when a signal comes are dropped, and made again by the next call.

    Raises:
        FolderError: the output folder went away.
    """
    state = State.start(job, found, os.uname().nodename, available_cpus())
    write_atomically(job.experiment_file, job.run.spec.experiment_json())
    with _wake_ups() as wait:
        try:
            while True:
                if not job.folder.state.is_dir():
                    raise FolderError(f"{job.folder.root}: the folder is gone")
                plan = decide(job.run, observe(state, time.monotonic()))
                apply(plan, state, time.monotonic())
                show(plan.status)
                idle = not (state.workers or state.encoders or plan.encoders)
                if plan.status.finished and idle and not _take_back_vanished(state):
                    return plan.status, None
                stopped_by = wait(TICK)
                if stopped_by:
                    return plan.status, stopped_by
        finally:
            _end(state)


def _take_back_vanished(state: State) -> bool:
    """Put clips that somebody has removed meanwhile back among those to be made; tell whether there were any."""
    vanished = {clip for clip in state.complete if _is_gone(state.job.folder.clip(clip).manifest)}
    state.complete -= vanished
    state.unencoded -= vanished
    state.waiting.extend(sorted(vanished))
    return bool(vanished)


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return regular.is_gone(error)
    return False


def _end(state: State) -> None:
    workers, encoders = state.workers.values(), state.encoders.values()
    processes.stop([*(each.process for each in workers), *(each.process for each in encoders)])
    for worker in state.workers.values():
        worker.errors.unlink(missing_ok=True)


@contextmanager
def _wake_ups() -> Iterator[Callable[[float], signal.Signals | None]]:
    """Yield a function that waits for a signal or a time-out, and returns the signal that asks to stop.

    Python writes the number of each signal into a socket, so none is lost between two waits.
    """
    stops = not_ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    # The socket first: a signal that came between the two would be swallowed.
    before_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in (*stops, signal.SIGCHLD)}

    def wait(seconds: float) -> signal.Signals | None:
        select.select([reader], [], [], seconds)
        try:
            received = set(reader.recv(4096))
        except BlockingIOError:
            return None
        return next((number for number in stops if number in received), None)

    try:
        yield wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        reader.close()
        writer.close()

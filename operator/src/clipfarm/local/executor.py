"""The loop: observe, decide, act, until nothing is left to do or a signal ends it."""

import errno
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from clipfarm.decide.plan import Plan, decide
from clipfarm.decide.status import Status
from clipfarm.local import processes
from clipfarm.local.apply import apply
from clipfarm.local.claims import ClaimsError, claims_of
from clipfarm.local.job import Job
from clipfarm.local.observe import observe
from clipfarm.local.processes import Worker
from clipfarm.local.scan import FolderError, Scan
from clipfarm.local.serving import Server
from clipfarm.local.state import State
from clipfarm.world import Moment
from clipfarm_contract import regular
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.signals import not_ignored

PASSING = frozenset((
    errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE,
    errno.ETIMEDOUT,
))  # fmt: skip
"""Errors that may pass: the disk is full, there are too many processes or files, a file server is away."""
TICK = 1.0
"""Seconds between two ticks when nothing happens; a process that ends, or a signal, wakes the loop at once."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run went."""

    status: Status
    """The last one."""
    stopped_by: signal.Signals | None
    """The signal that ended it early, if any."""
    complete: Collection[int]
    """Clips that are complete."""


def run(job: Job, found: Scan, lock: int, show: Callable[[Status], None]) -> Ended:
    """Carry a job through.

    Clips that are being rendered when a signal comes are dropped, and made again by the next call.

    Raises:
        FolderError: the output folder went away.
    """
    state = State.start(job, found, os.uname().nodename, available_cpus(), lock)
    processes.remove_logs(job)
    write_atomically(job.experiment_file, job.run.spec.experiment_json())
    with _wake_ups() as wait:
        try:
            while True:
                if problem := _lost(job.folder.lock, lock):
                    raise FolderError(f"{job.folder.root}: {problem}")
                plan = _decide_and_apply(job, state)
                show(plan.status)
                idle = not (state.workers or state.encoders or plan.encoders)
                if plan.status.finished and idle and not _take_back_vanished(state):
                    return Ended(plan.status, None, state.complete)
                stopped_by = wait(TICK, _answers(state))
                if stopped_by:
                    return Ended(plan.status, stopped_by, state.complete)
        finally:
            _end(state)
            if state.claims:
                state.claims.close()


def _decide_and_apply(job: Job, state: State) -> Plan:
    """Start what the plan says, while no other run on this machine's GPUs decides; return the plan."""
    try:
        with state.claims.turn() if state.claims else nullcontext():
            world = observe(state, Moment(time.monotonic(), time.time()))
            plan = decide(job.run, world)
            if state.claims:
                # Before anything starts: a process that is killed in between has claimed too much, not too little.
                state.claims.write(claims_of(job.run.name, plan, world, job.run.spec.vram.allocation_time))
            return _applied(plan, state)
    except ClaimsError as error:
        # Encoders claim nothing, so they go on.
        plan = replace(decide(job.run, observe(state, Moment(time.monotonic(), time.time()))), start=())
        return _stuck(_applied(plan, state), f"{error}; no clip starts meanwhile")


def _applied(plan: Plan, state: State) -> Plan:
    """Do what a plan says; return it, with why it could not be done where a person has to know."""
    try:
        apply(plan, state, time.monotonic())
    except OSError as error:
        if error.errno not in PASSING:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _stuck(plan, f"{where}{error.strerror}; trying again")
    return plan


def _stuck(plan: Plan, why: str) -> Plan:
    return replace(plan, status=replace(plan.status, stuck=why))


def _take_back_vanished(state: State) -> bool:
    """Put clips that were removed meanwhile back among those to be made; return whether there were any."""
    vanished = {clip for clip in state.complete if not regular.may_exist(state.job.folder.clip(clip).manifest)}
    state.complete -= vanished
    state.unencoded -= vanished
    for clip in vanished:
        state.lacks.pop(clip, None)
    state.waiting.extend(sorted(vanished))
    return bool(vanished)


def _lost(path: Path, descriptor: int) -> str:
    """Return why the run's folder is not the one any more, by the file of its lock; nothing if it is."""
    try:
        same = os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError as error:
        return "the folder is gone" if regular.is_gone(error) else ""
    return "" if same else "another folder has taken its place"


def _answers(state: State) -> list[int]:
    """Return what becomes readable when a renderer that goes on has done its clip."""
    servers = (worker.server for worker in state.workers.values())
    return [each.process.stdout.fileno() for each in servers if each is not None and each.process.stdout is not None]


def _end(state: State) -> None:
    renderers: list[Worker | Server] = [*state.workers.values(), *state.idle, *state.leaving]
    processes.stop([*(each.process for each in renderers), *(each.process for each in state.encoders.values())])
    for each in renderers:
        each.errors.unlink(missing_ok=True)


@contextmanager
def _wake_ups() -> Iterator[Callable[[float, Sequence[int]], signal.Signals | None]]:
    """Yield a function that waits for a signal, some descriptors or a time-out, and returns the signal to stop, if any.

    Python writes the number of each signal into a socket, so none is lost between two waits.
    """
    stops = not_ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    # The socket first: a signal that came between the two would be swallowed.
    before_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in (*stops, signal.SIGCHLD)}

    def wait(seconds: float, descriptors: Sequence[int]) -> signal.Signals | None:
        select.select([reader.fileno(), *descriptors], [], [], seconds)
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

"""GPU memory that a child has in use, looked at while it works, as NVIDIA's driver reports it.

By process where the driver names them by numbers of this machine. In many containers it does not: there the child has
what the whole GPU has in use beyond what it had before, less what has changed beside it.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipfarm_contract.result import MIB, VramUse, Way
from clipfarm_render.vram.levels import Levels

EVERY_SECONDS = 0.1
READY_SECONDS = 5.0
"""A driver that has lost a GPU may never answer; clips do not wait for it longer than this, and that once."""
RECENT_SECONDS = 1.0
ALLOCATED = 0.9
"""Share of its most at which a child counts as having allocated its memory."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process on the GPU."""

    group: int | None
    """Its process group; None: it is none of this machine, or of this container."""
    mib: float | None
    """None: the driver does not say."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the driver saw."""

    at: float
    """Monotonic seconds."""
    used_mib: float | None
    """Of the whole GPU; None where a clip may use several."""
    processes: Mapping[int, Process] = field(default_factory=dict)

    def of_group(self, group: int) -> float | None:
        """Return what the processes of a group have in use; None if the driver reports none."""
        sizes = [process.mib for process in self.processes.values() if process.group == group]
        known = [size for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else None

    def beside(self, group: int, before: "Look") -> float:
        """Return what is known to have changed beside a group since a look before."""
        changed = 0.0
        for pid, process in self.processes.items():
            was = before.processes.get(pid)
            # A number of no process here may be the group's own, unless it was there before the group.
            if process.mib is None or process.group == group or (process.group is None and was is None):
                continue
            changed += process.mib - (was.mib if was and was.mib is not None else 0.0)
        gone = (was for pid, was in before.processes.items() if pid not in self.processes)
        return changed - sum(was.mib or 0.0 for was in gone)


def by_process(looks: Sequence[Look], group: int) -> Levels | None:
    """Return what a group of processes had in use, by the driver's list of processes; None where it is not there."""
    levels = Levels()
    for look in looks:
        used = look.of_group(group)
        if used is not None or levels.peak:
            levels.take(look.at, used or 0.0)
    return levels if levels.peak else None


def by_gpu(looks: Sequence[Look], group: int, before: Look, after: Look | None) -> Levels | None:
    """Return what a group had in use, by what the whole GPU had; None where that cannot be told.

    Args:
        looks: while the group was at work.
        group: number of the process group.
        before: the last look before it used the GPU.
        after: a look after all of it has ended; None while it lives: what others have allocated since, unseen as in
            most containers, cannot be told from what the group has.
    """
    if before.used_mib is None or after is None or after.used_mib is None:
        return None
    # What came or went beside it unseen is in one of the two: the larger one leaves it out either way.
    base, levels = max(before.used_mib, after.used_mib - after.beside(group, before)), Levels()
    for look in looks:
        if look.used_mib is not None:
            used = max(0.0, look.used_mib - look.beside(group, before) - base)
            if used or levels.peak:
                levels.take(look.at, used)
    return levels if levels.peak else None


class VramObserver:
    """Looks at the driver ten times a second, beside the clips of a block; to be closed."""

    def __init__(self) -> None:
        self._looks: list[Look] = []
        self._before: dict[int, tuple[Look | None, float]] = {}
        self._allocated: dict[int, float] = {}
        self._seen, self._silent, self._closing, self._measures = threading.Condition(), False, False, False
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._closing = True

    def begin(self, group: int, started: float) -> None:
        """Start a clip of a process group, which started at some monotonic time, and has not used the GPU yet."""
        if group not in self._before:
            self._before = {group: (self._newer_than(time.monotonic() - RECENT_SECONDS), started)}
            self._allocated = {}
        with self._seen:
            self._looks, self._measures = self._looks[-1:], True

    def end(self, group: int, *, lives: bool, at_least: float) -> VramUse | None:
        """Return what the clip had in use; None where the driver does not tell, or tells less than is known to be.

        Args:
            group: as ``begin`` got it.
            lives: whether its process does.
            at_least: what it is known to have had at a time, MiB.
        """
        with self._seen:
            looks, self._measures = list(self._looks), False
        before, started = self._before[group]
        levels, way = by_process(looks, group), Way.PROCESS
        if levels is None and before is not None:
            after = None if lives else self._newer_than(time.monotonic())
            levels, way = by_gpu(looks, group, before, after), Way.GPU
        if levels is None or levels.peak < at_least:
            return None
        # A process that makes several clips allocates with the first.
        allocated = self._allocated.setdefault(group, levels.reached(ALLOCATED) - started)
        return VramUse(levels.peak, levels.average, levels.deviation, max(0.0, allocated), way)

    def _newer_than(self, moment: float) -> Look | None:
        """Return the last look, if it is of after a moment or one comes; None where none comes in time."""

        def newer() -> bool:
            return bool(self._looks) and self._looks[-1].at >= moment

        with self._seen:
            if not self._seen.wait_for(lambda: newer() or self._silent, READY_SECONDS):
                self._silent = True
            return self._looks[-1] if newer() else None

    def _run(self) -> None:
        from clipfarm_contract import nvml  # loading it takes a fifth of a second, and clips on CPUs do without

        while not self._closing:
            try:
                with nvml.opened():
                    parts = visible_parts()
                    while parts and not self._closing:
                        self._keep(look(parts))
                        time.sleep(EVERY_SECONDS)
            except nvml.NVMLError:  # no driver, or one that was replaced: there is nothing to see
                self._keep(None)
            time.sleep(EVERY_SECONDS)

    def _keep(self, seen: Look | None) -> None:
        with self._seen:
            if seen is not None and not self._measures:
                self._looks.clear()  # between clips, which may take hours, the last one is enough
            self._looks += [seen] if seen else []
            self._silent = seen is None
            self._seen.notify_all()


def visible_parts() -> list[Any]:
    """Return the GPUs, or instances of them, that clips of this process may use; the library has to be open.

    Raises:
        NVMLError: the driver does not tell.
    """
    from clipfarm_contract import environment, nvml

    return nvml.visible_parts(os.environ.get(environment.GPU) or os.environ.get("CUDA_VISIBLE_DEVICES"))


def look(parts: Sequence[Any]) -> Look:
    """Look at some GPUs.

    Raises:
        NVMLError: the driver does not tell.
    """
    from clipfarm_contract import nvml

    at = time.monotonic()
    memory = nvml.read_memory(parts[0]) if len(parts) == 1 else None
    processes: dict[int, Process] = {}
    for part in parts:
        for pid, used in nvml.used_by_processes(part.handle).items():
            mib = None if used is None else used / MIB
            known = processes.get(pid)
            # A clip that uses several GPUs is as large as on that where it has the most.
            if known is None or known.mib is None or (mib is not None and mib > known.mib):
                processes[pid] = Process(_group(pid), mib)
    return Look(at, memory.used / MIB if memory else None, processes)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None

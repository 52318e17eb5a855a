"""Who decides in a simulation when a clip starts and where, beside clipfarm's own rules: see :mod:`real_rules`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from clipfarm.world import Ended
from clipfarm_simulation.fleet import End, Exporters, Fleet

Starts = Iterable[tuple[int, int]]
"""Clips and their GPUs."""


@dataclass(frozen=True)
class Ask:
    """What one run asks for."""

    run: int
    free: int
    """Workers that are free."""
    waiting: list[int]
    """Clips that were never tried."""
    ended: list[Ended]
    """Clips that ran out of memory and may be tried again."""
    due: list[int]
    """Those of them that may be tried now."""
    rendered: int = 0
    """Clips that are complete."""


class Policy(Protocol):
    """Decides."""

    def choose(self, now: int, asks: Sequence[Ask]) -> Starts:
        """Return what starts now; ``asks`` are those of all runs that are there."""

    def saw(self, started: Starts, ended: list[End]) -> None:
        """Learn what became of it."""

    def dropped(self, run: int) -> None:
        """Learn that a run was deleted, with its clips."""

    def restarted(self) -> None:
        """Forget what a process that is killed forgets."""


def spread(fleet: Fleet) -> list[int]:
    """Return how many clips each GPU has."""
    return [int(count) for count in np.bincount(fleet.on, minlength=len(fleet.gpus))]


def in_turns(asks: Sequence[Ask]) -> Iterable[int]:
    """Yield clips that workers are free for, one of each run after the other."""
    queues = [islice([*ask.due, *ask.waiting], max(0, ask.free)) for ask in asks]
    while queues:
        left = []
        for queue in queues:
            clip = next(queue, None)
            if clip is not None:
                left.append(queue)
                yield clip
        queues = left


class NoGate:
    """Whoever is free starts, on the GPU with the fewest clips."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def choose(self, now: int, asks: Sequence[Ask]) -> Starts:
        """Start as many as there are workers."""
        counts = spread(self._fleet)
        for clip in in_turns(asks):
            gpu = counts.index(min(counts))
            counts[gpu] += 1
            yield clip, gpu

    def saw(self, started: Starts, ended: list[End]) -> None:
        """Nothing is learned."""

    def dropped(self, run: int) -> None:
        """Nothing is known of runs."""

    def restarted(self) -> None:
        """Nothing is remembered."""


class FirstSystem(NoGate):
    """One reading for all, one pair of thresholds, zero where nothing is known; round robin over the GPUs."""

    def __init__(self, fleet: Fleet, exporters: Exporters) -> None:
        super().__init__(fleet)
        self._exporters = exporters
        self._waits = False

    def choose(self, now: int, asks: Sequence[Ask]) -> Starts:
        """Look before each start, and every five seconds while it waits."""
        known = self._exporters.up[self._fleet.node_of] & ~np.isnan(self._exporters.values)
        used = float(np.where(known, self._exporters.values, 0.0).sum() / self._fleet.sizes.sum())
        if self._waits and now % 5:
            return ()
        self._waits = used > 0.85 if not self._waits else used >= 0.70
        return () if self._waits else super().choose(now, asks)


class Oracle(NoGate):
    """Knows what each clip will take and all that other tenants will do; starts whatever fits.

    ``overcommit``: how much more than there is the clips' peaks may add up to. They do not fall together; how far one
    may go is found in hindsight.
    """

    def __init__(self, fleet: Fleet, overcommit: float, high: float = 1.0) -> None:
        """``high``: no clip starts on a GPU of which a larger part is in use."""
        super().__init__(fleet)
        self._overcommit = overcommit
        self._high = high
        longest = float(fleet.clips.renders.max()) * 3 + 30
        tenants = fleet.tenants
        # The most that tenants will have during a clip, for each step; blocks of ten seconds are exact enough.
        self._block = 10
        blocks = -(-len(tenants) // self._block)
        most = np.array([tenants[b * self._block : (b + 1) * self._block].max(axis=0) for b in range(blocks)])
        reach = int(np.ceil(longest / self._block)) + 1
        self._future = np.array([most[b : b + reach].max(axis=0) for b in range(blocks)])

    def choose(self, now: int, asks: Sequence[Ask]) -> Starts:
        """Start what fits, on the GPU with the fewest clips of those where it does; the smallest run goes first.

        A run is as large as the peaks of its clips at work, by its priority. One whose next clip does not fit waits.
        """
        fleet, runs = self._fleet, self._fleet.scenario.runs
        future = self._future[min(now // self._block, len(self._future) - 1)]
        peaks = np.bincount(fleet.on, fleet.clips.peak[fleet.which], minlength=len(fleet.gpus))
        counts = np.array(spread(fleet), dtype=float)
        open_ = fleet.used <= self._high * fleet.sizes
        of_run = np.bincount(fleet.clips.of_run[fleet.which], fleet.clips.peak[fleet.which], minlength=len(runs)) / [
            run.priority for run in runs
        ]
        queues = {ask.run: islice([*ask.due, *ask.waiting], max(0, ask.free)) for ask in asks}
        while queues:
            run = min(queues, key=lambda each: (of_run[each], each))
            clip = next(queues[run], None)
            if clip is None:
                del queues[run]
                continue
            peak = fleet.clips.peak[clip]
            fits = future + (peaks + peak) / np.where(counts > 1, self._overcommit, 1.0) <= fleet.sizes
            fits &= open_
            if not fits.any():
                del queues[run]
                continue
            gpu = int(np.argmin(np.where(fits, counts, np.inf)))
            peaks[gpu] += peak
            of_run[run] += peak / runs[run].priority
            counts[gpu] += 1
            yield clip, gpu

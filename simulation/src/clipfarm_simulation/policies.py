"""Who decides in a simulation when a clip starts and where, beside clipfarm's own rules: see :mod:`real_rules`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from clipfarm.world import Ended
from clipfarm_simulation.fleet import End, Exporters, Fleet
from clipfarm_simulation.runs import Array

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

    def __init__(self, fleet: Fleet, overcommit: float, high: float = 1.0, ahead: float = 1.0) -> None:
        """Begin.

        Args:
            fleet: the GPUs.
            overcommit: see above.
            high: no clip starts on a GPU of which a larger part is in use.
            ahead: how far it looks at tenants, as a part of the time that the longest clip takes on a crowded GPU.
        """
        super().__init__(fleet)
        self._overcommit = overcommit
        self._high = high
        longest = (float(fleet.clips.renders.max()) * 3 + 30) * ahead
        # The most that tenants will have during a clip, for each step; blocks of ten seconds are exact enough.
        self._block = 10
        self._future = _most_ahead(fleet.tenants, self._block, int(np.ceil(longest / self._block)) + 1)
        self._columns = fleet.clips.peak[np.newaxis]
        """What counts of each clip, in rows: it is added up by GPU."""

    def choose(self, now: int, asks: Sequence[Ask]) -> Starts:
        """Start what fits, on the GPU with the fewest clips of those where it does; the smallest run goes first.

        A run is as large as the peaks of its clips at work, by its priority. One whose next clip does not fit waits.
        """
        fleet, runs = self._fleet, self._fleet.scenario.runs
        peak, of_clips = fleet.clips.peak, fleet.clips.of_run
        future = self._future[min(now // self._block, len(self._future) - 1)]
        sums = np.array([np.bincount(fleet.on, row, len(fleet.gpus)) for row in self._now()], dtype=float)
        counts = np.array(spread(fleet), dtype=float)
        open_ = fleet.used <= self._high * fleet.sizes
        of_run = np.bincount(of_clips[fleet.which], peak[fleet.which], minlength=len(runs)) / [
            run.priority for run in runs
        ]
        queues = {ask.run: islice([*ask.due, *ask.waiting], max(0, ask.free)) for ask in asks}
        while queues:
            run = min(queues, key=lambda each: (of_run[each], each))
            clip = next(queues[run], None)
            if clip is None:
                del queues[run]
                continue
            fits = (future + self._together(sums, counts, clip) <= fleet.sizes) & open_
            if not fits.any():
                del queues[run]
                continue
            gpu = int(np.argmin(np.where(fits, counts, np.inf)))
            sums[:, gpu] += self._columns[:, clip]
            of_run[run] += peak[clip] / runs[run].priority
            counts[gpu] += 1
            yield clip, gpu

    def _now(self) -> Array:
        """Return what counts of the clips that run, in rows."""
        return self._columns[:, self._fleet.which]

    def _together(self, sums: Array, counts: Array, clip: int) -> Array:
        """Return the memory that clips count with if this one starts, by GPU."""
        together: Array = (sums[0] + self._columns[0, clip]) / np.where(counts > 1, self._overcommit, 1.0)
        return together


class Informed(Oracle):
    """Knows all that other tenants will do, and of clips only what the rules know.

    That is the mean of their peaks, the largest of them, their average use and its deviation; not which clip is which.
    It sees what each GPU has in use without a lag, and which clips have allocated. A clip starts if one of the rules'
    two estimates leaves room for it. How many deviations count is found in hindsight.
    """

    def __init__(self, fleet: Fleet, deviations: float, high: float, ahead: float, *, learns: bool) -> None:
        """Begin.

        Args:
            fleet: the GPUs.
            deviations: see above.
            high: no clip starts on a GPU of which a larger part is in use.
            ahead: as of the oracle.
            learns: whether a run's clips are unknown until the first of them is done; each GPU has one until then.
        """
        super().__init__(fleet, 1.0, high, ahead)
        self._deviations, clips = deviations, fleet.clips
        of_each = [clips.of_run == run for run in range(len(fleet.scenario.runs))]
        self._most = np.array([clips.peak[each].max() for each in of_each])[clips.of_run]
        mean = np.array([clips.peak[each].mean() for each in of_each])
        average = np.array([clips.average[each].mean() for each in of_each])
        variance = np.array([np.mean(clips.deviation[each] ** 2) + clips.average[each].var() for each in of_each])
        self._columns = np.array([mean, average, variance, mean])[:, clips.of_run]
        self._known = np.full(len(of_each), not learns)

    def saw(self, started: Starts, ended: list[End]) -> None:
        """Learn the sizes of a run's clips when one of them is done."""
        for end in ended:
            self._known[self._fleet.clips.of_run[end.clip]] |= not end.out_of_memory

    def _now(self) -> Array:
        now, fleet = super()._now(), self._fleet
        # The last row is what is measured: of a clip that has not allocated yet, what it will take.
        now[3] = np.where(fleet.work >= fleet.clips.ramp[fleet.which], fleet.using, now[3])
        return now

    def _together(self, sums: Array, counts: Array, clip: int) -> Array:
        mean, average, variance, _ = self._columns[:, clip]
        most = self._most[clip]
        usual = sums[1] + average + self._deviations * np.sqrt(sums[2] + variance)
        counted = np.minimum(sums[0] + mean, usual) + most - mean
        measured = sums[3] + most + (1 - self._high) * self._fleet.sizes
        together = np.minimum(counted, measured)
        if not self._known[self._fleet.clips.of_run[clip]]:
            together = np.full(len(counts), np.inf)
        return np.where(counts == 0, mean, together)


def _most_ahead(tenants: Array, block: int, reach: int) -> Array:
    """Return the most that tenants have within so many blocks from each block on, by block and GPU."""
    blocks = -(-len(tenants) // block)
    padded = np.full(((blocks + reach - 1) * block, tenants.shape[1]), -np.inf, dtype=tenants.dtype)
    padded[: len(tenants)] = tenants
    most = padded.reshape(-1, block, tenants.shape[1]).max(axis=1)
    found: Array = np.lib.stride_tricks.sliding_window_view(most, reach, axis=0).max(axis=-1)
    return found

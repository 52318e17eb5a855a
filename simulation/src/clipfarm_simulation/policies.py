"""Who decides in a simulation when a clip starts and where: clipfarm's own rules, and what they are compared with."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np

from clipfarm.decide.plan import Plan, decide
from clipfarm.decide.vram.learned import LearnedMemory
from clipfarm.run import API_VERSION, KIND, Run
from clipfarm.vram.lag import LagTracker, supersedes
from clipfarm.world import Departed, Ended, GpuId, Moment, Node, Reading, Running, WatermarkState, World
from clipfarm_contract.result import VramUse
from clipfarm_simulation.fleet import End, Exporters, Fleet, Scenario

ASKS = 5
"""Seconds between two questions to the exporters."""
SEEN_AFTER = 1
"""Seconds until the operator sees that a clip has ended."""
REPORTED_AFTER = 2.0
"""Seconds until it knows what that clip has measured of its GPU."""
REPORTED_LAG = 4.0
"""How much older than that it may be, by what the operator knows."""
Starts = Iterable[tuple[int, int]]
"""Clips and their GPUs."""


class Policy(Protocol):
    """Decides."""

    def choose(self, now: int, free: int, waiting: list[int], ended: list[Ended], due: list[int]) -> Starts:
        """Return what starts now.

        Args:
            now: the time.
            free: workers that are free.
            waiting: clips that were never tried.
            ended: clips that ran out of memory and may be tried again.
            due: those of them that may be tried now.
        """

    def saw(self, started: Starts, ended: list[End]) -> None:
        """Learn what became of it."""


def spread(fleet: Fleet) -> list[int]:
    """Return how many clips each GPU has."""
    return [int(count) for count in np.bincount(fleet.on, minlength=len(fleet.gpus))]


class NoGate:
    """Whoever is free starts, on the GPU with the fewest clips."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def choose(self, now: int, free: int, waiting: list[int], ended: list[Ended], due: list[int]) -> Starts:
        """Start as many as there are workers."""
        counts = spread(self._fleet)
        for clip in [*due, *waiting][:free]:
            gpu = counts.index(min(counts))
            counts[gpu] += 1
            yield clip, gpu

    def saw(self, started: Starts, ended: list[End]) -> None:
        """Nothing is learned."""


class FirstSystem(NoGate):
    """One reading for all, one pair of thresholds, zero where nothing is known; round robin over the GPUs."""

    def __init__(self, fleet: Fleet, exporters: Exporters) -> None:
        super().__init__(fleet)
        self._exporters = exporters
        self._waits = False

    def choose(self, now: int, free: int, waiting: list[int], ended: list[Ended], due: list[int]) -> Starts:
        """Look before each start, and every five seconds while it waits."""
        known = self._exporters.up[self._fleet.node_of] & ~np.isnan(self._exporters.values)
        used = float(np.where(known, self._exporters.values, 0.0).sum() / self._fleet.sizes.sum())
        if self._waits and now % 5:
            return ()
        self._waits = used > 0.85 if not self._waits else used >= 0.70
        return () if self._waits else super().choose(now, free, waiting, ended, due)


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

    def choose(self, now: int, free: int, waiting: list[int], ended: list[Ended], due: list[int]) -> Starts:
        """Start what fits, on the GPU with the fewest clips of those where it does."""
        fleet = self._fleet
        future = self._future[min(now // self._block, len(self._future) - 1)]
        peaks = np.bincount(fleet.on, fleet.clips.peak[fleet.which], minlength=len(fleet.gpus))
        counts = np.array(spread(fleet), dtype=float)
        open_ = fleet.used <= self._high * fleet.sizes
        for clip in [*due, *waiting][:free]:
            peak = fleet.clips.peak[clip]
            fits = future + (peaks + peak) / np.where(counts > 1, self._overcommit, 1.0) <= fleet.sizes
            fits &= open_
            if not fits.any():
                return
            gpu = int(np.argmin(np.where(fits, counts, np.inf)))
            peaks[gpu] += peak
            counts[gpu] += 1
            yield clip, gpu


class Clipfarm:
    """The rules themselves, with what an operator would have seen."""

    def __init__(self, fleet: Fleet, exporters: Exporters, run: Run) -> None:
        self.run = run
        self.watermarks: dict[GpuId, WatermarkState] = {}
        self.plan: Plan | None = None
        self._fleet = fleet
        self._exporters = exporters
        self._index = {gpu: number for number, gpu in enumerate(fleet.gpus)}
        self._readings: dict[GpuId, Reading] = {}
        self._on_the_way: deque[tuple[int, Reading]] = deque()
        """What clips that are done have measured; the operator does not know of it yet."""
        self._running: dict[int, Running] = {}
        self._departed: dict[int, Departed] = {}
        self._unseen: deque[list[End]] = deque()
        """Clips that have ended, by second; the operator does not see it yet."""
        self._lags = [LagTracker() for _ in fleet.scenario.nodes]
        self._memory = LearnedMemory()

    def choose(self, now: int, free: int, waiting: list[int], ended: list[Ended], due: list[int]) -> Starts:
        """Decide as the operator does each second."""
        while self._on_the_way and self._on_the_way[0][1].at <= now:
            clip, reading = self._on_the_way.popleft()
            if clip in self._departed:
                self._departed[clip] = replace(self._departed[clip], ended_at=reading.at - reading.lag)
            self._take_in(reading)
        if now % ASKS == 0:
            self._ask(now)
        self.plan = decide(self.run, self.world(now, waiting, ended))
        self.watermarks = dict(self.plan.watermarks)
        for start in self.plan.start:
            assert start.gpu is not None
            self._running[start.index] = Running(start.index, start.node, start.gpu, float(now))
            yield start.index, self._index[start.gpu]

    def world(self, now: int, waiting: list[int], ended: list[Ended]) -> World:
        """Return what an operator would see."""
        names = [f"node-{number}" for number in range(len(self._fleet.scenario.nodes))]
        here = {name: tuple(gpu for gpu in self._fleet.gpus if gpu.node == name) for name in names}
        total = self._fleet.scenario.clips
        return World(
            moment=Moment(float(now), float(now)),
            nodes=tuple(Node(name, 64, here[name]) for name in names),
            total=total,
            rendered=0,
            waiting=tuple(waiting),
            running=tuple(self._running.values()),
            ended=tuple(ended),
            readings=tuple(self._readings.values()),
            watermarks=self.watermarks,
            departed=tuple(self._departed.values()),
            clip_memory=self._memory.summary(),
        )

    def saw(self, started: Starts, ended: list[End]) -> None:
        """Take note of clips that ended, and of what the finished ones report and have measured."""
        now, fleet, clips = float(self._fleet.now), self._fleet, self._fleet.clips
        for end in ended:
            if not end.out_of_memory:
                used, size = float(fleet.used[end.gpu]), float(fleet.sizes[end.gpu])
                reading = Reading(fleet.gpus[end.gpu], used, size, now + REPORTED_AFTER, REPORTED_LAG)
                self._on_the_way.append((end.clip, reading))
        self._unseen.append(ended)
        for end in self._unseen.popleft() if len(self._unseen) > SEEN_AFTER else ():
            gone = self._running.pop(end.clip)
            assert gone.started_at is not None
            self._departed[end.clip] = Departed(gone.node, gone.gpu, gone.started_at, now, end.out_of_memory)
            if not end.out_of_memory and fleet.scenario.knows == "learned":
                use = VramUse(
                    peak_mib=float(clips.peak[end.clip]),
                    average_mib=float(clips.average[end.clip]),
                    deviation_mib=float(clips.deviation[end.clip]),
                    allocated_after=float(clips.allocated[end.clip]),
                )
                self._memory.add(str(end.clip), [use])
        if ended:
            self._departed = {
                clip: departed for clip, departed in self._departed.items() if now - departed.ended_at < 90.0
            }

    def _ask(self, now: int) -> None:
        """Ask each exporter: it reports what it collected last, and the operator knows how often it collects."""
        exporters, fleet = self._exporters, self._fleet
        told = fleet.scenario.tells_age
        for node, tracker in enumerate(self._lags):
            answer = []
            for number in np.flatnonzero(fleet.node_of == node):
                value = float(exporters.values[number])
                if exporters.up[node] and not np.isnan(value):
                    at = float(exporters.collected_at[node]) if told else float(now)
                    lag = 0.0 if told else fleet.scenario.collects
                    answer.append(Reading(fleet.gpus[number], value, float(fleet.sizes[number]), at, lag))
            for reading in tracker.narrow(answer):
                self._take_in(reading)

    def _take_in(self, reading: Reading) -> None:
        known = self._readings.get(reading.gpu)
        if known is None or supersedes(reading, known):
            self._readings[reading.gpu] = reading


def run_of(scenario: Scenario) -> Run:
    """Return the run that makes a scenario's clips."""
    vram = {"perClip": f"{int(scenario.peak * 1.25)}Mi"} if scenario.knows == "given" else {}
    clips = {"start": 0, "end": scenario.clips - 1}
    phase = {"name": "all", "clips": clips, "friction": {"min": 0.5, "max": 0.9}, "mass": {"min": 1, "max": 1}}
    spec = {
        "clips": clips,
        "workers": scenario.workers,
        "experiment": {"phases": [phase]},
        "render": {"device": "cuda"},
        "vram": vram | scenario.vram,
        "encode": {"enabled": False},
    }
    return Run.model_validate(
        {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "simulated"}, "spec": spec}
    )

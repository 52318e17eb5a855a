"""Clipfarm's own rules in a simulation, with what an operator would have seen."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from clipfarm.decide.fair import Balance, take_turns
from clipfarm.decide.plan import Draft
from clipfarm.decide.vram.learned import LearnedMemory
from clipfarm.decide.vram.ledger import Ledger
from clipfarm.run import API_VERSION, KIND, Run
from clipfarm.vram.lag import LagTracker, supersedes
from clipfarm.world import Departed, GpuId, Moment, Node, Reading, Running, WatermarkState, World
from clipfarm_contract.result import VramUse
from clipfarm_simulation.fleet import End, Exporters, Fleet
from clipfarm_simulation.policies import Ask, Starts
from clipfarm_simulation.runs import Party, Scenario

ASKS = 5
"""Seconds between two questions to the exporters."""
SEEN_AFTER = 1
"""Seconds until the operator sees that a clip has ended."""
REPORTED_AFTER = 2.0
"""Seconds until it knows what that clip has measured of its GPU."""
REPORTED_LAG = REPORTED_AFTER - SEEN_AFTER
"""How much older than that it is: it was measured when the clip's end was seen, by what the operator knows."""
REMEMBERED_SECONDS = 90.0
"""How long a clip that has ended is remembered."""


@dataclass
class Followed:
    """One run, as the operator knows it."""

    run: Run
    watermarks: Mapping[GpuId, WatermarkState] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)
    departed: dict[int, Departed] = field(default_factory=dict)
    ran_out: set[int] = field(default_factory=set)
    """Clips that ran out of memory once."""
    memory: LearnedMemory = field(default_factory=LearnedMemory)


class Clipfarm:
    """The rules themselves."""

    def __init__(self, fleet: Fleet, exporters: Exporters) -> None:
        self.runs = {number: Followed(run_of(party)) for number, party in enumerate(fleet.scenario.runs)}
        self._balance = Balance()
        self._fleet = fleet
        self._exporters = exporters
        self._index = {gpu: number for number, gpu in enumerate(fleet.gpus)}
        self._readings: dict[GpuId, Reading] = {}
        self._on_the_way: deque[Reading] = deque()
        """What clips that are done have measured; the operator does not know of it yet."""
        self._unseen: deque[list[End]] = deque()
        """Clips that have ended, by second; the operator does not see it yet."""
        self._lags = [LagTracker() for _ in fleet.scenario.nodes]
        names = [f"node-{number}" for number in range(len(fleet.scenario.nodes))]
        self._nodes = tuple(Node(name, 64, tuple(gpu for gpu in fleet.gpus if gpu.node == name)) for name in names)

    def choose(self, now: int, asks: Sequence[Ask]) -> Starts:
        """Decide as the operator does each second."""
        while self._on_the_way and self._on_the_way[0].at <= now:
            self._take_in(self._on_the_way.popleft())
        if now % ASKS == 0:
            self._ask(now)
        drafts = [Draft(str(ask.run), self.runs[ask.run].run, self.world(now, ask)) for ask in asks]
        take_turns(drafts, Ledger(), float(now), self._balance)
        for ask, draft in zip(asks, drafts, strict=True):
            followed = self.runs[ask.run]
            followed.watermarks = draft.marks
            for start in draft.starts:
                assert start.gpu is not None
                followed.running[start.index] = Running(start.index, start.node, start.gpu, float(now))
                yield start.index, self._index[start.gpu]

    def world(self, now: int, ask: Ask) -> World:
        """Return what an operator would see of a run."""
        followed = self.runs[ask.run]
        return World(
            moment=Moment(float(now), float(now)),
            nodes=self._nodes,
            total=self._fleet.scenario.runs[ask.run].clips,
            rendered=0,
            waiting=tuple(ask.waiting),
            running=tuple(followed.running.values()),
            ended=tuple(ask.ended),
            ran_out_before=frozenset(followed.ran_out),
            readings=tuple(self._readings.values()),
            watermarks=followed.watermarks,
            departed=tuple(followed.departed.values()),
            clip_memory=followed.memory.summary(),
        )

    def saw(self, started: Starts, ended: list[End]) -> None:
        """Take note of clips that ended, and of what the finished ones report and have measured."""
        now, fleet = float(self._fleet.now), self._fleet
        for end in ended:
            if not end.out_of_memory:
                used, size = float(fleet.used[end.gpu]), float(fleet.sizes[end.gpu])
                reading = Reading(fleet.gpus[end.gpu], used, size, now + REPORTED_AFTER, REPORTED_LAG)
                self._on_the_way.append(reading)
        self._unseen.append(ended)
        for end in self._unseen.popleft() if len(self._unseen) > SEEN_AFTER else ():
            self._saw_end(end, now)
        if ended:
            for followed in self.runs.values():
                kept = followed.departed.items()
                followed.departed = {clip: left for clip, left in kept if now - left.ended_at < REMEMBERED_SECONDS}

    def _saw_end(self, end: End, now: float) -> None:
        followed, clips = self.runs[self._run(end.clip)], self._fleet.clips
        gone = followed.running.pop(end.clip, None)
        if gone is None:
            return  # its run was deleted
        assert gone.started_at is not None
        if end.out_of_memory:
            followed.ran_out.add(end.clip)
        followed.departed[end.clip] = Departed(gone.node, gone.gpu, gone.started_at, now, end.out_of_memory)
        if not end.out_of_memory and self._fleet.scenario.runs[self._run(end.clip)].knows == "learned":
            use = VramUse(
                peak_mib=float(clips.peak[end.clip]),
                average_mib=float(clips.average[end.clip]),
                deviation_mib=float(clips.deviation[end.clip]),
                allocated_after=float(clips.allocated[end.clip]),
            )
            followed.memory.add(str(end.clip), [use])

    def dropped(self, run: int) -> None:
        """Forget a run that was deleted, with its clips."""
        self.runs[run] = Followed(self.runs[run].run)

    def restarted(self) -> None:
        """Forget what a restart forgets: the status keeps watermarks, the Job sizes, the pods where they are."""
        self._readings.clear()
        self._on_the_way.clear()
        self._balance = Balance()
        self._lags = [LagTracker() for _ in self._lags]
        for followed in self.runs.values():
            followed.departed.clear()
            followed.watermarks = {
                gpu: WatermarkState(gpu, mark.closed, None) for gpu, mark in followed.watermarks.items()
            }

    def _run(self, clip: int) -> int:
        return int(self._fleet.clips.of_run[clip])

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


def run_of(party: Party | Scenario) -> Run:
    """Return the run that makes a party's clips; a scenario stands for its only one."""
    party = party.runs[0] if isinstance(party, Scenario) else party
    vram = {"perClip": f"{int(party.peak * 1.25)}Mi"} if party.knows == "given" else {}
    clips = {"start": 0, "end": party.clips - 1}
    phase = {"name": "all", "clips": clips, "friction": {"min": 0.5, "max": 0.9}, "mass": {"min": 1, "max": 1}}
    spec = {
        "clips": clips,
        "workers": party.workers,
        "priority": party.priority,
        "experiment": {"phases": [phase]},
        "render": {"device": "cuda"},
        "vram": vram | party.vram,
        "encode": {"enabled": False},
    }
    return Run.model_validate(
        {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "simulated"}, "spec": spec}
    )

"""Simulated GPUs: clips on them, other tenants, exporters that collect now and then and fail.

One step is one second. Everything random comes from the seed. Numbers are MiB and seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipfarm.world import GpuId
from clipfarm_simulation.runs import Array, Clips, Ints, Scenario


def tenants(scenario: Scenario, sizes: Array, steps: int, random: np.random.Generator) -> Array:
    """Return what others have in use, by step and GPU: levels that they ramp to within some seconds."""
    count = len(sizes)
    if scenario.tenants == "none":
        return np.zeros((steps, count), dtype=np.float32)
    wanted = np.zeros((steps, count))
    first_on_node = np.cumsum([0, *[gpus for gpus, _ in scenario.nodes][:-1]])
    for gpu in range(count):
        level, step = _levels(scenario.tenants, random), 0
        if scenario.tenants == "encoder" and gpu not in first_on_node:
            continue
        for part, seconds in level:
            wanted[step : step + seconds, gpu] = part * sizes[gpu]
            step += seconds
            if step >= steps:
                break
    for gpu in range(count):
        wanted[:, gpu] = _ramped(wanted[:, gpu], float(sizes[gpu]) / 10.0)  # from nothing to the whole in ten seconds
    return wanted.astype(np.float32)


def _ramped(wanted: Array, rate: float) -> Array:
    """Return what is in use by step, if it changes by no more than a rate; only steps after a change are looked at."""
    found, reached = wanted.copy(), 0
    for change in (np.flatnonzero(np.diff(wanted)) + 1).tolist():
        if change < reached:
            continue
        before = float(found[change - 1])
        for step in range(change, len(found)):
            asked, reached = float(wanted[step]), step + 1
            before = found[step] = min(max(asked, before - rate), before + rate)
            if before == asked:
                break
    return found


def _levels(kind: str, random: np.random.Generator) -> Iterator[tuple[float, int]]:
    """Yield parts of a GPU and how long they are held."""
    if kind == "steady":
        part = float(random.choice([0.0, 0.1, 0.2, 0.3, 0.5]))
        while True:
            yield part, 10_000
    while True:
        match kind:
            case "steps":
                yield float(random.choice([0.0, 0.0, 0.2, 0.4, 0.6, 0.9])), int(random.uniform(600, 2400))
            case "bursts":
                yield 0.1, int(random.exponential(240)) + 20
                yield float(random.uniform(0.2, 0.4)), int(random.uniform(10, 90))
            case "encoder":
                yield 0.12, int(random.uniform(10, 60))
                yield 0.35, int(random.uniform(20, 60))
            case _:
                raise ValueError(kind)


@dataclass(frozen=True)
class End:
    """A clip that has ended."""

    clip: int
    gpu: int
    started_at: float
    out_of_memory: bool


class Fleet:
    """All GPUs and what runs on them."""

    def __init__(self, scenario: Scenario, seed: int, *, steps: int, endless: bool = False) -> None:
        """``endless``: memory never runs out."""
        tenant_seed = np.random.SeedSequence([seed, 2])
        seeds = [
            np.random.SeedSequence([seed, 1, number] if number else [seed, 1]) for number in range(len(scenario.runs))
        ]
        self.scenario = scenario
        self.gpus = [GpuId(f"node-{n}", i, f"GPU-{n}-{i}") for n, (g, _) in enumerate(scenario.nodes) for i in range(g)]
        self.sizes = np.array([gib * 1024.0 for gpus, gib in scenario.nodes for _ in range(gpus)])
        self.node_of = np.array([n for n, (gpus, _) in enumerate(scenario.nodes) for _ in range(gpus)])
        self.clips = Clips(scenario.runs, [np.random.default_rng(each) for each in seeds])
        self.tenants = tenants(scenario, self.sizes, steps, np.random.default_rng(tenant_seed))
        self.now = 0
        self.which: Ints = np.zeros(0, dtype=np.int64)
        self.on: Ints = np.zeros(0, dtype=np.int64)
        self.age, self.work, self.using = np.zeros(0), np.zeros(0), np.zeros(0)
        self.denied = 0
        """Seconds in which another tenant did not get the memory that it asked for. Else tenants win."""
        self._endless = endless
        self.used = self.others()

    def start(self, clip: int, gpu: int) -> None:
        """Start a clip on a GPU."""
        self.which, self.on = np.append(self.which, clip), np.append(self.on, gpu)
        self.age, self.work, self.using = (np.append(each, 0.0) for each in (self.age, self.work, self.using))

    def kill(self, run: int) -> None:
        """End all clips of a run at once."""
        keep = self.clips.of_run[self.which] != run
        self.which, self.on, self.age = self.which[keep], self.on[keep], self.age[keep]
        self.work, self.using = self.work[keep], self.using[keep]

    def others(self) -> Array:
        """Return what other tenants have in use now, by GPU."""
        now: Array = self.tenants[min(self.now, len(self.tenants) - 1)].astype(np.float64)
        return now

    def step(self) -> list[End]:
        """Let a second go by; return the clips that ended in it."""
        self.now += 1
        clips, count = self.clips, len(self.gpus)
        rendering = (self.age >= clips.starts[self.which]) & (self.work < clips.renders[self.which])
        at_once = np.bincount(self.on[rendering], minlength=count)
        speed = np.minimum(1.0, self.scenario.at_full_speed / np.maximum(1, at_once))
        rendered = self.work >= clips.renders[self.which]
        self.age = self.age + 1.0
        self.work = self.work + np.where(rendering, speed[self.on], np.where(rendered, 1.0, 0.0))
        before, self.using = self.using, clips.use(self.which, self.age, self.work)
        lost = self._fit(before)
        done = self.work >= clips.renders[self.which] + clips.saves[self.which]
        over = done | lost
        ended = [
            End(int(clip), int(gpu), self.now - float(age), bool(died))
            for clip, gpu, age, died in zip(
                self.which[over], self.on[over], self.age[over], (lost & ~done)[over], strict=True
            )
        ]
        keep = ~over
        self.which, self.on, self.age = self.which[keep], self.on[keep], self.age[keep]
        self.work, self.using = self.work[keep], self.using[keep]
        self.used = self.others() + np.bincount(self.on, self.using, minlength=count)
        if not self._endless:
            self.used = np.minimum(self.used, self.sizes)
        return ended

    def _fit(self, before: Array) -> npt.NDArray[np.bool_]:
        """Return the clips whose allocation failed: where it is too much, those that asked for most in this second."""
        lost = np.zeros(len(self.which), dtype=bool)
        if self._endless:
            return lost
        others = self.others()
        total = others + np.bincount(self.on, self.using, minlength=len(self.gpus))
        for gpu in np.flatnonzero(total > self.sizes + 1e-6):
            here = np.flatnonzero((self.on == gpu) & (self.using > before))
            for one in here[np.argsort(before[here] - self.using[here], kind="stable")]:
                if total[gpu] <= self.sizes[gpu]:
                    break
                lost[one] = True
                total[gpu] -= self.using[one]
            self.denied += int(total[gpu] > self.sizes[gpu])
        return lost


class Exporters:
    """What can be asked: one exporter a node, each with its own rhythm and its own outages."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        scenario = fleet.scenario
        random = np.random.default_rng(np.random.SeedSequence([seed, 3]))
        self._fleet = fleet
        self._collects = scenario.collects
        count = len(scenario.nodes)
        self._next = random.uniform(0.0, scenario.collects, count)
        # They have been there for longer than the run.
        self.collected_at = self._next - scenario.collects
        self.values = fleet.used.copy()
        self._outages = scenario.outages
        self._random = random
        self._toggles = self._up_for(count)
        self.up = np.ones(count, dtype=bool)

    def _up_for(self, count: int) -> Array:
        if not self._outages:
            return np.full(count, np.inf)
        return self._random.exponential(300.0 * (1 - self._outages) / self._outages, count)

    def step(self) -> None:
        """Look at the GPUs where it is time to, and fail or come back where it is time to."""
        now = float(self._fleet.now)
        for node in np.flatnonzero(self._toggles <= now):
            self.up[node] = not self.up[node]
            self._toggles[node] = now + (self._up_for(1)[0] if self.up[node] else self._random.exponential(300.0))
        due = self._next <= now
        if due.any():
            self._next[due] += np.maximum(self._collects, 1.0)
            self.collected_at[due] = now
            fresh = due[self._fleet.node_of]
            self.values[fresh] = self._fleet.used[fresh]

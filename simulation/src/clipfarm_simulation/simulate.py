"""One simulated run from its first clip to its last, under one policy."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from clipfarm.decide import retry
from clipfarm.world import Ended
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_simulation.fleet import Exporters, Fleet, Scenario
from clipfarm_simulation.policies import Policy, run_of

STEPS = 24 * 3600
"""A run that takes longer is cut off: it is stuck."""
SHOWN = 400
"""Waiting clips that a policy is shown, beyond free workers."""
Make = Callable[[Fleet, Exporters], Policy]


@dataclass
class Trace:
    """One GPU over time, for plots."""

    gpu: int
    size: float
    """MiB."""
    used: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    """When clips ran out of memory there."""


@dataclass(frozen=True)
class Result:
    """What came of a run."""

    clips: int
    """Of the run."""
    completed: int
    out_of_memory: int
    """Attempts that ran out of memory."""
    failed: int
    """Clips that failed for good."""
    seconds: int
    mean_use: float
    """Of all memory of all GPUs, tenants included, while clips were waiting."""
    denied: int
    trace: Trace

    @property
    def per_hour(self) -> float:
        """Clips completed an hour."""
        return self.completed / self.seconds * 3600


def simulate(
    scenario: Scenario,
    seed: int,
    make: Make,
    *,
    endless: bool = False,
    steps: int = STEPS,
    trace: int = 0,
    watch: Callable[[Fleet, Policy], None] | None = None,
) -> Result:
    """Run a scenario to its end.

    Args:
        scenario: what is simulated.
        seed: of everything random.
        make: returns the policy.
        endless: memory never runs out.
        steps: seconds after which it is cut off.
        trace: the GPU that is written down.
        watch: called after each second.
    """
    fleet = Fleet(scenario, seed, steps=steps, endless=endless)
    exporters = Exporters(fleet, seed)
    policy = make(fleet, exporters)
    rules = run_of(scenario).spec.retry
    waiting = deque(range(scenario.clips))
    lost: dict[int, int] = {}
    failed = done = 0
    attempts: dict[int, Ended] = {}
    shown = Trace(trace, float(fleet.sizes[trace]))
    uses: list[float] = []
    while done + failed < scenario.clips and fleet.now < steps:
        exporters.step()
        outcome = retry.judge(rules, list(attempts.values()))
        for last in outcome.failed:
            del attempts[last.index]
            failed += 1
        due = [again.index for again in outcome.again if again.due <= fleet.now]
        free = scenario.workers - len(fleet.which)
        head = [waiting[i] for i in range(min(len(waiting), max(0, free) + SHOWN))] if free > 0 else []
        started = list(policy.choose(fleet.now, free, head, list(attempts.values()), due)) if free > 0 else []
        for clip, gpu in started:
            if attempts.pop(clip, None) is None:
                waiting.remove(clip)
            fleet.start(clip, gpu)
        ends = fleet.step()
        for end in ends:
            if end.out_of_memory:
                lost[end.clip] = lost.get(end.clip, 0) + 1
                attempts[end.clip] = Ended(
                    end.clip, ExitCode.OUT_OF_VRAM, "out of GPU memory", float(fleet.now), lost[end.clip]
                )
            else:
                done += 1
        policy.saw(started, ends)
        if waiting:
            uses.append(float(fleet.used.sum() / fleet.sizes.sum()))
        shown.used.append(float(fleet.used[trace]))
        shown.others.append(float(fleet.others()[trace]))
        shown.lost += [fleet.now for end in ends if end.out_of_memory and end.gpu == trace]
        if watch is not None:
            watch(fleet, policy)
    return Result(
        scenario.clips,
        done,
        sum(lost.values()),
        failed,
        fleet.now,
        float(np.mean(uses)) if uses else 0.0,
        fleet.denied,
        shown,
    )

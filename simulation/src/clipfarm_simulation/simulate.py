"""Simulated runs from their first clip to their last, under one policy."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from clipfarm.decide import retry
from clipfarm.retry import Retry
from clipfarm.world import Ended
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_simulation.fleet import End, Exporters, Fleet
from clipfarm_simulation.policies import Ask, Policy
from clipfarm_simulation.real_rules import run_of
from clipfarm_simulation.runs import Party, Scenario

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
class RunResult:
    """What came of one of several runs."""

    party: Party
    completed: int
    out_of_memory: int
    failed: int
    ended_at: int
    """Second in which its last clip was done, or in which the simulation was cut off."""
    at_first_end: int
    """Clips that it had completed when the first run was done."""
    longest_wait: int
    """Seconds from one start to the next, at most, while it had clips and workers for one."""


@dataclass(frozen=True)
class Result:
    """What came of all runs."""

    clips: int
    """Of all runs."""
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
    runs: tuple[RunResult, ...]

    @property
    def per_hour(self) -> float:
        """Clips completed an hour."""
        return self.completed / self.seconds * 3600


@dataclass
class Doing:
    """One run on its way."""

    number: int
    party: Party
    waiting: deque[int]
    attempts: dict[int, Ended] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    failed: int = 0
    done: int = 0
    ended_at: int | None = None
    at_first_end: int = 0
    asked_since: int | None = None
    longest_wait: int = 0

    def ask(self, retries: Retry, now: int, at_work: int) -> Ask | None:
        """Return what it asks for; None if it is not there."""
        if now < self.party.begins or self.ended_at is not None:
            return None
        outcome = retry.judge(retries, list(self.attempts.values()))
        for last in outcome.failed:
            del self.attempts[last.index]
            self.failed += 1
        due = [again.index for again in outcome.again if again.due <= now]
        free = self.party.workers - at_work
        shown = max(0, free) + SHOWN
        head = list(islice(self.waiting, shown)) if free > 0 else []
        if not (due or head):
            self.asked_since = None
        elif self.asked_since is None:
            self.asked_since = now
        return Ask(self.number, free, head, list(self.attempts.values()), due, self.done)

    def start(self, clip: int, now: int) -> None:
        """Take note of a start."""
        if self.attempts.pop(clip, None) is None:
            self.waiting.remove(clip)
        if self.asked_since is not None:
            self.longest_wait = max(self.longest_wait, now - self.asked_since)
        self.asked_since = now

    def end(self, end: End, now: int) -> None:
        """Take note of a clip's end."""
        if not end.out_of_memory:
            self.done += 1
            return
        self.lost[end.clip] = self.lost.get(end.clip, 0) + 1
        reason = "out of GPU memory"
        self.attempts[end.clip] = Ended(end.clip, ExitCode.OUT_OF_VRAM, reason, float(now), self.lost[end.clip])


def simulate(
    scenario: Scenario,
    seed: int,
    make: Make,
    *,
    endless: bool = False,
    steps: int = STEPS,
    until: int | None = None,
    most_lost: int | None = None,
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
        until: the same, for a run that is of no interest if it takes longer; None: ``steps``.
        most_lost: it is cut off once more attempts have run out of memory; None: however many do.
        trace: the GPU that is written down.
        watch: called after each second.
    """
    fleet = Fleet(scenario, seed, steps=steps, endless=endless)
    exporters = Exporters(fleet, seed)
    policy = make(fleet, exporters)
    retries = run_of(scenario).spec.retry
    numbers = iter(range(scenario.total))
    runs = [Doing(n, party, deque(islice(numbers, party.clips))) for n, party in enumerate(scenario.runs)]
    shown = Trace(trace, float(fleet.sizes[trace]))
    uses: list[float] = []
    last, lost = steps if until is None else min(steps, until), 0
    while any(run.ended_at is None for run in runs) and fleet.now < last and (most_lost is None or lost <= most_lost):
        now = fleet.now
        exporters.step()
        _change(scenario, runs, fleet, policy)
        at_work = np.bincount(fleet.clips.of_run[fleet.which], minlength=len(runs))
        asks = [ask for run in runs if (ask := run.ask(retries, now, int(at_work[run.number]))) is not None]
        started = list(policy.choose(now, asks)) if any(ask.free > 0 for ask in asks) else []
        for clip, gpu in started:
            runs[int(fleet.clips.of_run[clip])].start(clip, now)
            fleet.start(clip, gpu)
        ends = fleet.step()
        for end in ends:
            lost += end.out_of_memory
            runs[int(fleet.clips.of_run[end.clip])].end(end, fleet.now)
        policy.saw(started, ends)
        _finish(runs, fleet.now)
        if any(run.waiting for run in runs):
            uses.append(float(fleet.used.sum() / fleet.sizes.sum()))
        shown.used.append(float(fleet.used[trace]))
        shown.others.append(float(fleet.others()[trace]))
        shown.lost += [fleet.now for end in ends if end.out_of_memory and end.gpu == trace]
        if watch is not None:
            watch(fleet, policy)
    return Result(
        scenario.total,
        sum(run.done for run in runs),
        sum(sum(run.lost.values()) for run in runs),
        sum(run.failed for run in runs),
        fleet.now,
        float(np.mean(uses)) if uses else 0.0,
        fleet.denied,
        shown,
        tuple(
            RunResult(
                run.party, run.done, sum(run.lost.values()), run.failed, run.ended_at or fleet.now,
                run.at_first_end, run.longest_wait,
            )
            for run in runs
        ),
    )  # fmt: skip


def _change(scenario: Scenario, runs: Sequence[Doing], fleet: Fleet, policy: Policy) -> None:
    """Delete runs and restart the operator, at their time."""
    for run in runs:
        if run.party.deleted == fleet.now and run.ended_at is None:
            run.ended_at = fleet.now
            fleet.kill(run.number)
            policy.dropped(run.number)
    if scenario.restart == fleet.now:
        policy.restarted()


def _finish(runs: Sequence[Doing], now: int) -> None:
    """Take note of runs that are done, and of how far all were when the first was."""
    first = all(run.ended_at is None or run.party.deleted is not None for run in runs)
    done = [run for run in runs if run.ended_at is None and run.done + run.failed >= run.party.clips]
    for run in done:
        run.ended_at = now
    if first and done:
        for run in runs:
            run.at_first_end = run.done

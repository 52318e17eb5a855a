"""How many pods a run's Job has: those that may run, and as many at their gates as are used while others are made.

A pod at its gate counts in a ResourceQuota like any other. So how many wait follows how fast they are used, and where
memory, a person or missing nodes hold clips back, none is made beside those that may run.

A queue gives room for as many pods as the Job has, so there it is what may run, from first to last.

**Fewer pods** are asked for late, and with care. The Job controller chooses which ones it deletes: those without a node
first. It takes them out of its count before, so no clip fails; it makes them again later; and as it replaces pods only
when they are gone (``podReplacementPolicy: Failed``), no index ever has two writers. But it might take a pod whose gate
came off just now, or one that is tried again, whose attempts it would forget. So fewer are asked for only while every
pod without a node is at its gate, the others have their nodes for some time, and no clip is tried again; and until
the Job controller is done no gate is taken off.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile

from clipfarm.cluster.acting.change import SEEN_SECONDS
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.memory import MOST_ENDS, Memory, Rendering
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import JobWork, Releases
from clipfarm.decide.plan import Plan

RESERVE = 100
"""The most pods that wait at their gates beside those that may run: the Job controller, which looks once a second,
brings as many in the time of the shortest clips there are, and more of them only fill the API server."""
LEAD_SECONDS = 3.0
"""How long it takes until a pod that is missing stands at its gate, at the most: the Job controller looks once a
second, and a busy API server takes as long again."""
FIRST_SECONDS = 6.0
"""How long a pod takes at least, as long as none has ended."""
RATE_SECONDS = 60.0
"""How fast pods are used is known by those that ended within this."""
HELD_SECONDS = 15.0
"""The same while clips are held: soon after the last one has ended none is used any more."""
STEP = 16
"""How many pods more a Job gets at a time. The Job controller makes all that are missing at once, and while it does
every other request waits: with 500 of them a gate takes seconds to come off. The last pod starts no later."""
LOW = 8
"""The next ones are asked for when no more than this wait to be released."""
STEP_SECONDS = 0.125
"""And when the last ones have been made, or after this: the Job controller takes a second to replace pods that have
ended, and 128 a second is what an API server on two cores can carry."""
SURPLUS = 2
"""Pods too many that are not worth a change."""
SURPLUS_SECONDS = 10.0
"""How long there are too many before fewer are asked for: clips that are held may be released soon."""
SETTLED_SECONDS = 5.0
"""How long a pod has had its node until the Job controller surely knows."""


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How many pods a run's Job is to have."""

    plan: Plan
    queued: bool
    """Whether a queue decides when the Job may continue."""
    releases: Releases
    """Gates that are being taken off."""
    asked: JobWork
    """When the Job was last given room for more pods, and for how many."""
    now: float
    step: int = STEP
    """How many pods more the Job may be given now, at most."""

    @classmethod
    def of(cls, plan: Plan, tracked: Tracked, now: float, step: int = STEP) -> "Parallelism":
        """Return it for a run, by its plan."""
        return cls(plan, bool(tracked.owner.queue), tracked.releases, tracked.work.on_job, now, step)

    def full(self, rendering: Rendering, blocks: int) -> int:
        """Return how many pods a Job of so many blocks is to have, gated ones included.

        One at least: a pod that the API server refuses is noticed before clips may start.
        """
        status = self.plan.status
        if self.queued:
            return min(blocks, status.workers)
        waiting = self._idle(rendering) + reserve(self.plan, rendering, self.now)
        return min(blocks, max(1, self.plan.could_run + status.retrying + waiting))

    def first(self, rendering: Rendering, blocks: int) -> int:
        """Return how many pods a Job that is made now has; ``blocks`` are its own, and no estimate of before."""
        wanted = self.full(rendering, blocks)
        return wanted if self.queued else min(wanted, max(1, self.step))

    def surplus_since(self, memory: Memory) -> float | None:
        """Return since when the Job has had more pods than it needs; None: it has not, or there is none."""
        known, job, plan = memory.rendering.surplus_since, memory.job, self.plan
        if job is None:
            return None
        if self.queued or memory.rendering.lowering is not None or plan.status.finished or plan.no_more_clips:
            return known
        if self.full(memory.rendering, memory.blocks.count) >= job.parallelism - SURPLUS:
            return None
        return self.now if known is None else known

    def following(self, memory: Memory, job: JobView, pods: Collection[PodView]) -> int:
        """Return how many pods a Job is to have now; what it has, where that is as it should be."""
        rendering = memory.rendering
        if self.queued or rendering.lowering is not None:
            return job.parallelism
        if job.parallelism < self.asked.parallelism and self.now < self.asked.raised_at + SEEN_SECONDS:
            # No watch shows it yet. What is asked for now would be of the number before, and might lower this one.
            return job.parallelism
        most = self.full(rendering, memory.blocks.count)
        if most < job.parallelism - SURPLUS:
            return most if self._may_lower(rendering) else job.parallelism
        own = [pod.gated for pod in pods if pod.owner == job.uid]
        to_be_released = sum(own) - self.plan.status.retrying - self._idle(rendering)
        all_made = len(own) >= job.parallelism
        if most <= job.parallelism or to_be_released > LOW:
            return job.parallelism
        if not (all_made or self.now >= self.asked.raised_at + STEP_SECONDS):
            return job.parallelism
        return min(most, job.parallelism + self.step)

    def _idle(self, rendering: Rendering) -> int:
        """Count pods at their gates that are not released, now or ever: the Job is asked for others beside them."""
        return self.releases.aside(self.now) + rendering.idle

    def _may_lower(self, rendering: Rendering) -> bool:
        """Return whether a Job that has too many pods may have fewer: it has for some time, and that is safe."""
        settled = all(
            pod.state != "Released" and self.now - pod.since >= SETTLED_SECONDS for _, pod in rendering.at_work.values()
        )
        safe = settled and not (self.releases.released or self.plan.start or self.plan.status.retrying)
        since = rendering.surplus_since
        return safe and since is not None and self.now >= since + SURPLUS_SECONDS


def reserve(plan: Plan, rendering: Rendering, now: float) -> int:
    """Return how many pods are used while one is made: so many wait at their gates beside those that may run."""
    if rendering.began_at is None:
        return 0
    age, known_for = max(1.0, now - rendering.began_at), now - rendering.ends[0] if rendering.ends else 0.0
    unknown = 0
    if known_for < LEAD_SECONDS:
        # Nothing is known but that they take longer than this; those that take less than a few seconds are rare.
        unknown = min(STEP, round(plan.could_run / max(FIRST_SECONDS, age - known_for) * LEAD_SECONDS))
    window = HELD_SECONDS if any(not held.hold.frees_worker for held in plan.status.held) else RATE_SECONDS
    ends = sum(now - at <= window for at in rendering.ends)
    full_window = ends == MOST_ENDS
    span = max(1.0, now - rendering.ends[0]) if full_window else min(window, age)
    return min(RESERVE, max(unknown, round(ends / span * LEAD_SECONDS), _just_ended(rendering, now)))


def _just_ended(rendering: Rendering, now: float) -> int:
    """Return how many pods ended while one is made: in a wave these are far more than on the average."""
    return sum(1 for _ in takewhile(lambda at: now - at < LEAD_SECONDS, reversed(rendering.ends)))

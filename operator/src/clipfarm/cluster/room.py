"""How many pods a run's Job has: so many that no worker waits for one, and no more than can be let go as they come.

It is only ever raised: when it is lowered the Job controller ends pods, and one whose gate was taken off just now could
be among them. A queue gives room for as many pods as the Job has, so there it is what may run, from first to last.
"""

from collections.abc import Iterable

from clipfarm.cluster.tracked import Tracked
from clipfarm.cluster.views import JobView, PodView
from clipfarm.decide.plan import Plan

RESERVE = 100
"""The most pods that wait at their gates beside those that may run: the Job controller, which looks once a second,
brings as many in the time of the shortest clips there are, and more of them only fill the API server."""
STEP = 16
"""How many pods more a Job gets at a time. The Job controller makes all that are missing at once, and while it does
every other request waits: with 500 of them a gate takes seconds to come off. The last pod starts no later."""
LOW = 8
"""The next ones are asked for when no more than this wait to be let go."""
STEP_SECONDS = 0.125
"""And when the last ones have been made, or after this: the Job controller takes a second to replace pods that have
ended, and 128 a second is what an API server on two cores can carry."""


def full(plan: Plan, tracked: Tracked) -> int:
    """Return how many pods a Job has in the end, gated ones included.

    As many as may run, those that wait for another try, and some more at their gates, so that a worker that gets free
    finds its next pod there.
    """
    status = plan.status
    if tracked.owner.queue:
        # One at least, where no node fits yet: the queue may have to see the Job before there is one.
        return min(tracked.blocks.count, max(1, status.workers))
    reserve = min(max(2, status.workers), RESERVE)
    return min(tracked.blocks.count, status.workers + status.retrying + reserve)


def first(plan: Plan, tracked: Tracked) -> int:
    """Return how many pods a Job that is made now has."""
    return full(plan, tracked) if tracked.owner.queue else min(full(plan, tracked), STEP)


def following(plan: Plan, tracked: Tracked, job: JobView, pods: Iterable[PodView], now: float) -> int:
    """Return how many pods a Job is to have now; what it has, where that is as it should be."""
    most = full(plan, tracked)
    if tracked.owner.queue or most <= job.parallelism:
        return job.parallelism
    own = [pod.gated for pod in pods if pod.owner == job.uid]
    to_be_let_go = sum(own) - plan.status.retrying
    all_made = len(own) >= job.parallelism
    if to_be_let_go > LOW or not (all_made or now >= tracked.rendering.raised_at + STEP_SECONDS):
        return job.parallelism
    return min(most, job.parallelism + STEP)

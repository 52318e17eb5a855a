"""Which pods a Job does not have, though it asks for them, and which of its indexes these would be."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.memory import Rendering
from clipfarm.cluster.observing.settled import Settled
from clipfarm.world import Ended

UNMADE_SHOWN = 100
"""Indexes without a pod that are looked at while it is not settled how many may run."""


def missing_since(
    rendering: Rendering, job: JobView | None, total: int, pods: Iterable[PodView], now: float
) -> float | None:
    """Return since when a Job has fewer pods than it asks for, and none at its gate; None: it has them."""
    if not pods_missing(job, total, pods):
        return None
    return now if rendering.missing_since is None else rendering.missing_since


def pods_missing(job: JobView | None, total: int, pods: Iterable[PodView]) -> bool:
    """Return whether a Job has fewer pods than it asks for, and none that waits at its gate."""
    if job is None or job.suspended:
        return False
    own = [pod for pod in pods if pod.owner == job.uid]
    wanted = min(job.parallelism, total - job.completed.count - job.failed.count)
    return len(own) < wanted and not any(pod.gated for pod in own)


def next_indexes(job: JobView, total: int, pods: Iterable[PodView]) -> Iterator[int]:
    """Yield the indexes whose pods are missing: of those that are left, the Job controller takes the lowest."""
    there = {pod.index for pod in pods if pod.owner == job.uid}
    left = (
        index for index in range(total) if index not in there and index not in job.completed and index not in job.failed
    )
    yield from islice(left, max(0, job.parallelism - len(there)))


def unmade(
    most: int | None, pods: Iterable[PodView], settled: Settled, ended: Sequence[Ended], aside: int
) -> tuple[int, ...]:
    """Return indexes that have no pod and could run; none if there are as many pods as may run.

    Pods that cannot run now are not counted: those of clips that are tried again later, and ``aside`` more.

    Args:
        most: pods that may run; None: it is not settled.
        pods: the Job's pods.
        settled: indexes of the Job that are complete, or have failed for good.
        ended: those whose last attempt failed.
        aside: pods at their gates that cannot be released now.
    """
    known = {pod.index for pod in pods}
    again = sum(not end.final for end in ended)
    missing = (most or UNMADE_SHOWN) - len(known) + again + aside
    if missing <= 0:
        return ()
    known |= {end.index for end in ended}
    return tuple(islice((index for index in settled.left() if index not in known), missing))

"""What one look at a Job carries over to the next: counts and times that no object of the cluster has."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.memory import Rendering
from clipfarm.cluster.observing.work import WINDOW, JobWork, Lowering
from clipfarm.world import Running

LOWERING_SECONDS = 10.0
"""How long no gate is taken off, at most, while the Job controller deletes pods."""


def began_at(rendering: Rendering, running: Iterable[Running]) -> float | None:
    """Return when the first pod began, of those that were there at the first look."""
    if rendering.began_at is not None:
        return rendering.began_at
    return min((pod.started_at for pod in running if pod.started_at is not None), default=None)


def completions(rendering: Rendering, completed: int, now: float) -> tuple[float, ...]:
    """Return when the latest indexes completed, behind the time at which the window begins."""
    if rendering.completed is None:
        return (now,)  # where the window begins
    new = min(completed - rendering.completed, WINDOW)
    return (rendering.completions + (now,) * new)[-WINDOW:] if new > 0 else rendering.completions


def lowering(
    rendering: Rendering, work: JobWork, job: JobView | None, pods: Iterable[PodView], now: float
) -> tuple[Lowering | None, Lowering | None]:
    """Return the request for fewer pods that the Job controller may still be at, and the last one that is over.

    It deletes pods that have no node.
    """
    asked = work.lowering
    if job is None or asked is None or asked == rendering.lowered:
        return None, rendering.lowered
    there = sum(pod.owner == job.uid and not pod.deleting for pod in pods)
    done = job.parallelism <= asked.to and there <= job.parallelism
    is_over = done or now >= asked.at + LOWERING_SECONDS
    return (None, asked) if is_over else (asked, rendering.lowered)


def lost_on(rendering: Rendering, work: JobWork, store: Store) -> Mapping[str, int]:
    """Count pods that were given up by their node, for as long as that is there and does not answer."""
    if not (rendering.lost_on or work.given_up):
        return rendering.lost_on
    found = Counter(rendering.lost_on)
    found.update(islice(work.given_up.values(), rendering.counted, None))
    silent = {node.name for node in store.nodes.all() if node.silent_since is not None}
    return {name: count for name, count in found.items() if name in silent}

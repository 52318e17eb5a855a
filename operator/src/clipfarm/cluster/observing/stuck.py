"""Pods that were narrowed to a node that does not take them: others are made in their place, and go elsewhere.

Where a pod may go cannot be changed any more once its gate is off: when its node goes away, is cordoned or has no room,
it waits for ever, and a worker with it. So it is evicted. Eviction marks it as disrupted, which a Job's
podFailurePolicy does not count; deleting it would count as a failure of its clip.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm.cluster.api.nodes import fits
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.work import JobWork

STUCK_SECONDS = 60.0
"""How long a pod may find no room on its node, where another node could take it."""
AVOID_SECONDS = 180.0
"""How long no other pod is narrowed to that node: the scheduler may know what readings of GPU memory do not show."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A pod that cannot get to its node."""

    pod: PodView
    why: str
    gone: bool = False
    """Whether the node is there no more."""


def since(known: Mapping[str, float], pods: Mapping[str, PodView], now: float) -> dict[str, float]:
    """Return since when pods, by UID, find no room on the node that they were narrowed to, given what was known."""
    return {uid: known.get(uid, now) for uid, pod in pods.items() if _on_its_way(pod) and pod.trouble}


def stuck(asked: Asked, memory: Memory, work: JobWork, store: Store, now: float, patience: float) -> list[Stuck]:
    """Return pods whose node is gone, and those that found no room for ``patience`` seconds where others might have."""
    rendering = memory.rendering
    waiting = [
        (uid, pod)
        for uid, pod in store.pods.of(asked.key).items()
        if _on_its_way(pod) and pod.owner == rendering.job and uid not in work.evicted
    ]
    if not waiting:
        return []
    nodes = {node.name: node for node in store.nodes.all()}
    measured = {gpu.node for gpu in memory.watermarks}
    found = []
    for uid, pod in waiting:
        if pod.sent_to not in nodes:
            found.append(Stuck(pod, "the node is gone", gone=True))
        elif now - rendering.unschedulable.get(uid, now) >= patience:
            # Without another node an eviction would bring nothing: the next pod would go to the same one.
            others = (node for name, node in nodes.items() if name in measured and name != pod.sent_to)
            if any(fits(node, asked.run.spec.render.pod) and not _avoided(node.name, work, now) for node in others):
                found.append(Stuck(pod, pod.trouble))
    return found


def _avoided(node: str, work: JobWork, now: float) -> bool:
    """Return whether a pod has gone to a node in vain lately."""
    return now < work.avoided.get(node, (now, ""))[0]


def _on_its_way(pod: PodView) -> bool:
    return bool(pod.sent_to) and not (pod.node or pod.gated or pod.deleting)

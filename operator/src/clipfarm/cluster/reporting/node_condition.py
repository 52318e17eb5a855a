"""The condition NodeLost: which nodes do not answer, and what became of the pods there."""

from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.standard_conditions import Finding
from clipfarm.units import format_duration

MOST_NODES = 3


def node_lost(tracked: Tracked) -> Finding:
    """Which nodes do not answer, and what became of the pods there; only while there is such a node."""
    told = [given_up(tracked, node, pods) for node, pods in sorted(tracked.memory.rendering.lost_on.items())]
    return ("True", "NodeLost", "; ".join(told[:MOST_NODES]))


def given_up(tracked: Tracked, node: str, pods: int) -> str:
    """Return that a node does not answer, and how many of its pods were given up."""
    after = format_duration(tracked.run.spec.retry.lost_after)
    what = "1 pod there was" if pods == 1 else f"{pods} pods there were"
    return (
        f"the node {node} did not answer for {after} (retry.lostAfter): {what} given up, and the clips are made"
        f" elsewhere; restart the node, or remove it with `kubectl delete node {node}`"
    )

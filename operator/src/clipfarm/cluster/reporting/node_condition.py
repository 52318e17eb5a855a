"""The condition NodeLost: which nodes do not answer, and what became of the pods there."""

from collections.abc import Mapping

from clipfarm.cluster.reporting.standard_conditions import Finding
from clipfarm.units import format_duration

MOST_NODES = 3


def node_lost(lost_on: Mapping[str, int], lost_after: float) -> Finding:
    """Which nodes do not answer, and what became of the pods there; only while there is such a node.

    Args:
        lost_on: pods that were given up, by node.
        lost_after: seconds after which a node that does not answer is given up.
    """
    told = [given_up(node, pods, lost_after) for node, pods in sorted(lost_on.items())]
    return ("True", "NodeLost", "; ".join(told[:MOST_NODES]))


def given_up(node: str, pods: int, lost_after: float) -> str:
    """Return that a node does not answer, and how many of its pods were given up."""
    after = format_duration(lost_after)
    what = "1 pod there was" if pods == 1 else f"{pods} pods there were"
    return (
        f"the node {node} did not answer for {after} (retry.lostAfter): {what} given up, and the clips are made"
        f" elsewhere; restart the node, or remove it with `kubectl delete node {node}`"
    )

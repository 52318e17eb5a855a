"""Pods that were being deleted on a node that does not answer: they are given up, so that their clips go on.

The Job makes no other pod of an index before the last one has ended (``podReplacementPolicy: Failed``), and only the
kubelet reports the end of a pod. Without it the operator does for this pod what Kubernetes' own garbage collector does
for all pods of a node with the taint ``node.kubernetes.io/out-of-service``: it marks the pod as failed by a disruption,
which counts as no failure of the clip, and deletes it without a grace period.

The pod may still run behind a broken network. Then two pods write the same clip for a while. Each writes into a folder
of its own, and the first to rename it wins; the other finds a complete clip in its place and drops its own. A kubelet
that comes back ends containers whose pod is gone.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm.cluster.api.client import Manifest
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.observing.memory import Rendering
from clipfarm.cluster.reporting.events import Notice
from clipfarm.cluster.reporting.node_condition import given_up


@dataclass(frozen=True, slots=True)
class Lost:
    """A pod to be given up."""

    pod: PodView
    event: Notice | None
    """The Event that reports its node; with the first pod of each."""


def lost(rendering: Rendering, pods: Mapping[str, PodView], known: Mapping[str, str], lost_after: float) -> list[Lost]:
    """Return the pods that are Lost and were not given up yet.

    Args:
        rendering: what is remembered of the Job.
        pods: the run's, by UID.
        known: those that were given up, by UID.
        lost_after: seconds after which a node that does not answer is given up.
    """
    gone = [
        pods[uid]
        for uid, (_, pod) in rendering.at_work.items()
        if pod.state == "Lost" and uid in pods and uid not in known
    ]
    counts = Counter(pod.node for pod in gone)
    found = []
    for pod in gone:
        count = counts.pop(pod.node, 0)
        message = given_up(pod.node, count, lost_after)
        found.append(Lost(pod, Notice("Warning", "NodeLost", message) if count else None))
    return found


def failed_status(wall_time: str, node: str) -> Manifest:
    """Return the patch of a pod's status that says how it ended; conditions are merged by their type."""
    return {
        "phase": "Failed",
        "reason": "NodeLost",
        "message": f"the node {node} does not answer; clipfarm gave the pod up",
        "conditions": [
            {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByClipfarm",
                "message": f"the node {node} does not answer",
                "lastTransitionTime": wall_time,
            }
        ],
    }

"""Requests that take pods away before they have ended: stuck ones, recalled ones, and those of a lost node."""

from collections.abc import Collection, Iterable, Iterator

from clipfarm.cluster.acting import lost
from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.observing import stuck
from clipfarm.cluster.reporting.events import Notice
from clipfarm.decide.recall import Recall


def stuck_pods(found: list[stuck.Stuck]) -> Iterator[Change]:
    """Yield the requests that evict pods, and with the first of each node the Event that reports it."""
    first: dict[str, stuck.Stuck] = {}
    for each in found:
        pod, node = each.pod, each.pod.sent_to
        told = None
        if first.setdefault(node, each) is each:
            count = sum(other.pod.sent_to == node for other in found)
            clips = "1 pod that was" if count == 1 else f"{count} pods that were"
            told = f"{clips} sent to {node} did not start: {each.why}; evicted, and created again for another node"
        avoids = None if each.gone else (node, each.why)
        yield _eviction(pod, Notice("Warning", "PodStuck", told) if told else None, avoids)


def recalled_pods(
    recalls: Collection[Recall], pods: Iterable[PodView], job: str, evicted: Collection[str]
) -> Iterator[Change]:
    """Yield the requests that bring pods back behind their gates, and with the first the Event that reports them.

    By eviction, which a Job does not count: its controller makes them again, with their gates.

    Args:
        recalls: indexes whose pods are to come back.
        pods: the run's.
        job: the Job's UID.
        evicted: pods, by UID, that were evicted.
    """
    if not recalls:
        return
    waiting = {
        pod.index: pod
        for pod in pods
        if pod.owner == job and pod.uid not in evicted and not (pod.node or pod.gated or pod.deleting)
    }
    found = [(waiting[recall.index], recall.why) for recall in recalls if recall.index in waiting]
    for number, (pod, why) in enumerate(found):
        count = "1 pod was" if len(found) == 1 else f"{len(found)} pods were"
        again = "the Job controller creates them again, behind their gates"
        told = f"{count} taken back before they had a node: {why}; {again}"
        yield _eviction(pod, Notice("Normal", "PodsRecalled", told) if number == 0 else None)


def _eviction(pod: PodView, told: Notice | None, avoids: tuple[str, str] | None = None) -> Change:
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.run[0]},
        # Of this very pod: another of the same name would have another UID.
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
    path = f"/api/v1/namespaces/{pod.run[0]}/pods/{pod.name}/eviction"
    return Change("evict", path, "Pod", pod.name, body, told, avoids=avoids)


def lost_pods(found: list[lost.Lost]) -> Iterator[Change]:
    """Yield the changes that give up pods whose nodes do not answer."""
    for each in found:
        pod = each.pod
        path = f"/api/v1/namespaces/{pod.run[0]}/pods/{pod.name}"
        yield Change("give up", path, "Pod", pod.name, {"uid": pod.uid, "node": pod.node}, each.event)

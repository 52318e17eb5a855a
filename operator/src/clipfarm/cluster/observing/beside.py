"""How many of a run's pods fit on a node beside what all other pods request there."""

from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.requests import Amounts, requests
from clipfarm.manifests.common import resources
from clipfarm.render import Render
from clipfarm.units import format_bytes
from clipfarm.world import Requests

UNSEEN = "pods of other namespaces may request more there: the operator may not read them"
"""Of an operator of single namespaces."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What one pod of a run requests, and which others it has to leave alone."""

    requests: Requests
    priority: int | None = 0
    """Pods with a lower one are ended for it; None: none are."""

    @classmethod
    def of(cls, render: Render, pods: Mapping[str, PodView]) -> "Asking":
        """Return what one of its pods says: admission may have changed what the run asks for. Without any, the run."""
        pod = next(iter(pods.values()), None)
        if pod is not None:
            return cls(pod.requests, pod.priority if pod.preempts else None)
        container = {"name": "", "resources": resources(render.threads, render.memory, render.pod)}
        return cls(requests({"spec": {"containers": [container]}}))


def beside(asking: Asking, others: Amounts, node: NodeView) -> tuple[int | None, str]:
    """Return how many pods of a run fit on a node beside all others, and what limits their number, in words.

    None: nothing that the node says limits it.

    Args:
        asking: what one of the pods requests.
        others: what all others request of the node.
        node: the node.
    """
    limits = [
        (max(0, offered - others[name]) // amount, name)
        for name, amount in asking.requests
        if amount and (offered := node.allocatable.get(name)) is not None
    ]
    if not limits:
        return None, ""
    room, name = min(limits)
    return room, _words(name, dict(asking.requests)[name], others[name], node.allocatable[name])


def _words(name: str, asked: int, taken: int, offered: int) -> str:
    """Return what limits pods to the room that there is: others' requests, or that one asks for more than all."""
    if name == "pods":
        return f"{taken} of {offered} pods are there"
    what = "CPUs" if name == "cpu" else name
    if asked > offered:
        return f"a pod requests {_amount(name, asked)} {what}, and the node has {_amount(name, offered)}"
    return f"other pods request {_amount(name, taken)} of {_amount(name, offered)} {what}"


def _amount(name: str, amount: int) -> str:
    if name == "cpu":
        return f"{amount / 1000:g}"
    return str(amount) if "/" in name else format_bytes(amount)

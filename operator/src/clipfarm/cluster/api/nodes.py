"""Nodes: where pods may go, and how many."""

import math
from dataclasses import dataclass, field
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from clipfarm.cluster.api.requests import allocatable
from clipfarm.cluster.api.times import read_time
from clipfarm.manifests.common import Manifest
from clipfarm.pod_options import PodOptions
from clipfarm.world import HOSTNAME_LABEL, Label
from clipfarm_contract.objects import NODE_LABEL


@dataclass(frozen=True, slots=True)
class NodeView:
    """What decides whether pods may go to a node, and how many."""

    name: str
    cpus: int
    gpus: int
    """Of NVIDIA's, as its device plugin counts."""
    labels: dict[str, str]
    taints: tuple[tuple[str, str, str], ...]
    """Key, value and effect."""
    schedulable: bool
    devices: dict[str, int] = field(default_factory=dict)
    """What may be allocated of them, by the names that their plugins gave them."""
    allocatable: dict[str, int] = field(default_factory=dict)
    """What pods may request together, by resource, in the units of :data:`clipfarm.world.Requests`."""
    silent_since: float | None = None
    """When it stopped to be ready, Unix time: its kubelet does not answer, or cannot end pods; infinite: it is not said
    when. None: it is ready."""
    reports: bool = False
    """Whether its kubelet itself reports that the node is not ready: then it lives, and may still end pods."""


def own_label(node: NodeView) -> Label:
    """Return a label that only this node has: clipfarm's, if the pool gives it, or else that of its host name."""
    for key in (NODE_LABEL, HOSTNAME_LABEL):
        if key in node.labels:
            return key, node.labels[key]
    return HOSTNAME_LABEL, node.name


def node(manifest: Manifest) -> NodeView:
    """Return a view of a node."""
    metadata, spec = manifest["metadata"], manifest.get("spec", {})
    ready = _ready(manifest.get("status", {}))
    offered = manifest.get("status", {}).get("allocatable", {})
    return NodeView(
        name=metadata["name"],
        cpus=_whole(offered.get("cpu", "0")),
        gpus=_whole(offered.get("nvidia.com/gpu", "0")),
        devices={name: _whole(count) for name, count in offered.items() if "/" in name},
        allocatable=allocatable(manifest),
        labels=metadata.get("labels", {}),
        taints=tuple((t["key"], t.get("value", ""), t["effect"]) for t in spec.get("taints", ())),
        schedulable=not spec.get("unschedulable", False),
        silent_since=_silent_since(ready),
        reports=ready.get("status") == "False",  # the control plane writes Unknown where the kubelet writes nothing
    )


def selected(node: NodeView, options: PodOptions) -> bool:
    """Return whether a node has the labels that pods ask for."""
    return all(node.labels.get(key) == value for key, value in options.node_selector.items())


def fits(node: NodeView, options: PodOptions) -> bool:
    """Return whether pods may go to a node, by its labels and taints; the scheduler knows what is free there."""
    if not (node.schedulable and selected(node, options)):
        return False
    return all(
        effect == "PreferNoSchedule"
        or any(
            toleration.key in (None, key)
            and (toleration.operator == "Exists" or (toleration.value or "") == value)
            and toleration.effect in (None, effect)
            for toleration in options.tolerations
        )
        for key, value, effect in node.taints
    )


def _ready(status: Manifest) -> Manifest:
    return next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})


def _silent_since(ready: Manifest) -> float | None:
    if ready.get("status", "True") == "True":
        return None
    at = read_time(ready.get("lastTransitionTime"))
    return math.inf if at is None else at  # no age: it counts from when it is seen


def _whole(quantity: Any) -> int:
    """Return a quantity in whole units, rounded down: a node of a virtual kubelet may have ``10k`` CPUs."""
    return max(0, int(parse_quantity(quantity)))

"""Machines that render."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from clipfarm.world.gpus import GpuId

HOSTNAME_LABEL = "kubernetes.io/hostname"
Label = tuple[str, str]
"""A label of a node: key and value."""
Requests = tuple[tuple[str, int], ...]
"""What a pod requests of its node, by resource: thousandths of a CPU (``cpu``), bytes, or a number of devices. ``pods``
is the pod itself: a node takes a limited number."""
Sharing = Literal["Chosen", "Whole", "Sliced"]
"""How a clip comes to a GPU of its node.

``Chosen``: the scheduler chooses the GPU and names it to the clip, which could reach all. ``Whole``: Kubernetes' device
plugin gives the clip a GPU of its own, and which one is not known beforehand. ``Sliced``: the plugin gives it a share
of any of them.
"""


@dataclass(frozen=True, slots=True)
class NodeKind:
    """The nodes that a run's clips may be made on, if all have to be of one kind. Without arguments: any node."""

    labels: tuple[Label, ...] = ()
    """Labels that all of them have; none: any node, or it is not settled."""
    unsettled: str = ""
    """Why no clip starts yet; empty: clips may start."""

    def has(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels is one of them."""
        return all(labels.get(key) == value for key, value in self.labels) and bool(self.labels or not self.unsettled)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that renders."""

    name: str
    cpus: int
    """CPUs that may be used there."""
    gpus: tuple[GpuId, ...] = ()
    gpu_problem: str = ""
    """Why its GPUs are unknown; empty if it has none, or all are known."""
    sharing: Sharing = "Chosen"
    capacity: int | None = None
    """Clips of this run that its allocatable CPUs and devices are enough for. None: not limited."""
    room: int | None = None
    """Clips of this run that fit there at a time, beside what other pods request. None: not limited."""
    room_limit: str = ""
    """What limits them to fewer than ``capacity``, in words; empty: nothing does."""
    unseen: str = ""
    """Which pods may take more of its room and are not known; empty: all are."""
    avoided: str = ""
    """Why no clip is sent there for some time; empty: clips may be sent there."""
    label: Label | None = None
    """A label that no other node has; None: its name identifies it."""
    devices: int = 0
    """GPUs that Kubernetes' device plugin counts there, measured or not; 0: it counts none."""

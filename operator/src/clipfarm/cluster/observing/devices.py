"""How a run's pods come to GPUs: the operator names one, or Kubernetes' device plugin gives them some."""

import re
from collections.abc import Mapping

from clipfarm.cluster.api.nodes import NodeView
from clipfarm.pod_options import PodOptions
from clipfarm.render import Render
from clipfarm.world import GpuId, Reading, Sharing

INSTANCE = re.compile(r"nvidia\.com/mig-\d+g\.(\d+)gb")
"""An instance of a GPU (MIG) by its profile, as mig-1g.10gb: with about so many GB."""
REPLICAS_LABEL = "nvidia.com/gpu.replicas"
"""Of NVIDIA's GPU feature discovery: in how many slices of time each GPU is given out."""


def sharing(node: NodeView, options: PodOptions, measured: int) -> Sharing:
    """Return how pods come to a node's GPUs.

    Args:
        node: the node.
        options: the run's.
        measured: how many GPUs, or instances of them, are known there.
    """
    wanted = options.gpu_request
    if wanted is None:
        return "Chosen"
    if INSTANCE.fullmatch(wanted[0]):
        return "Whole"
    sliced = wanted[0].endswith(".shared") or _replicas(node) > 1
    # Without those labels, more devices than GPUs say the same.
    return "Sliced" if sliced or node.devices.get(wanted[0], 0) > measured > 0 else "Whole"


def counted(node: NodeView) -> int:
    """Return how many GPUs a node's device plugin gives out; 0 if it counts none."""
    return node.gpus // _replicas(node)


def _replicas(node: NodeView) -> int:
    """Return in how many slices of time each GPU of a node is given out; 1 if its labels do not say."""
    replicas = node.labels.get(REPLICAS_LABEL, "1")
    return max(1, int(replicas)) if replicas.isdecimal() else 1


def of_kind(gpus: tuple[GpuId, ...], readings: Mapping[GpuId, Reading], options: PodOptions) -> tuple[GpuId, ...]:
    """Return those GPUs of a node that pods may get: of instances, those of the profile that is asked for."""
    wanted = options.gpu_request
    profile = INSTANCE.fullmatch(wanted[0]) if wanted else None
    if profile is None:
        return gpus
    size = int(profile[1]) * 1e9 / 2**20

    def fits(gpu: GpuId) -> bool:
        # Profiles are named by whole GB, of which some are the driver's: 1g.10gb has 9,728 MiB, 1g.5gb has 4,864.
        reading = readings.get(gpu)
        return bool(gpu.instance) and (reading is None or 0.8 * size < reading.total_mib < 1.15 * size)

    return tuple(gpu for gpu in gpus if fits(gpu))


def capacity(node: NodeView, render: Render) -> int:
    """Return how many of a run's pods fit on a node at most, by CPUs and devices; others may leave less."""
    fit = node.cpus // render.threads
    wanted = render.pod.gpu_request
    return min(fit, node.devices.get(wanted[0], 0) // wanted[1]) if wanted else fit

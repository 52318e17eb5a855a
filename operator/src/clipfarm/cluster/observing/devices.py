"""What nodes offer a run's pods: room, and GPUs that the operator names or Kubernetes' device plugin gives out."""

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from clipfarm.cluster.api.nodes import NodeView, fits, own_label, selected
from clipfarm.cluster.observing.seen import Seen
from clipfarm.pod_options import PodOptions
from clipfarm.render import Render
from clipfarm.world import GpuId, Label, Reading, Sharing

INSTANCE = re.compile(r"nvidia\.com/mig-\d+g\.(\d+)gb")
"""An instance of a GPU (MIG) by its profile, as mig-1g.10gb: with about so many GB."""
REPLICAS_LABEL = "nvidia.com/gpu.replicas"
"""Of NVIDIA's GPU feature discovery: in how many slices of time each GPU is given out."""


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A node that a run's pods may go to by its labels and taints, and what it has for them."""

    node: NodeView
    gpus: tuple[GpuId, ...]
    """Those that are known there, or were before a restart: until they are measured again, they are not gone."""
    of_kind: tuple[GpuId, ...]
    """Those of them that the pods may get."""
    sharing: Sharing
    """How the pods come to them."""
    capacity: int
    """How many of the pods fit there at most, by CPUs and devices; others may leave less."""


def offers(render: Render, before: Iterable[GpuId], seen: Seen, readings: Mapping[GpuId, Reading]) -> list[Offer]:
    """Return what the nodes that fit offer a run's pods.

    Args:
        render: what the run asks for.
        before: GPUs that were known at the last look.
        seen: what there is to look at.
        readings: of GPU memory.
    """
    found = _alike(render, seen, readings)
    silent = {offer.node.name for offer in found if not offer.gpus}
    remembered: dict[str, list[GpuId]] = {}
    for gpu in before if silent else ():
        if gpu.node in silent:
            remembered.setdefault(gpu.node, []).append(gpu)
    if not remembered:
        return found
    return [
        _offer(offer.node, tuple(sorted(remembered[offer.node.name])), render, readings)
        if offer.node.name in remembered
        else offer
        for offer in found
    ]


def _alike(render: Render, seen: Seen, readings: Mapping[GpuId, Reading]) -> list[Offer]:
    """Return what the nodes that fit offer by what is known of them now; worked out once for runs that are alike."""
    if _profile(render.pod) is not None:
        return _offers(render, seen, readings)  # whether an instance is of the profile, readings say
    key = "offers", *_placement(render.pod), render.threads
    return seen.once(key, lambda: _offers(render, seen, readings))


def _offers(render: Render, seen: Seen, readings: Mapping[GpuId, Reading]) -> list[Offer]:
    return [
        _offer(node, seen.gpus.on(node.name), render, readings)
        for node in seen.store.nodes.all()
        if fits(node, render.pod)
    ]


def _offer(node: NodeView, gpus: tuple[GpuId, ...], render: Render, readings: Mapping[GpuId, Reading]) -> Offer:
    those, how = of_kind(gpus, readings, render.pod), sharing(node, render.pod, len(gpus))
    return Offer(node, gpus, those, how, capacity(node, render))


def _placement(options: PodOptions) -> tuple[Hashable, ...]:
    """Return what decides which nodes take a run's pods, and how the pods come to GPUs there."""
    return tuple(sorted(options.node_selector.items())), options.tolerations, options.gpu_request


def unfit(render: Render, seen: Seen) -> tuple[Label, ...]:
    """Return labels of nodes whose GPUs are shared, and that take no pods now: cordoned, or not ready."""
    if render.device == "cpu":
        return ()
    return seen.once(("unfit", *_placement(render.pod)), lambda: _unfit(render, seen))


def _unfit(render: Render, seen: Seen) -> tuple[Label, ...]:
    known = ((node, len(seen.gpus.on(node.name))) for node in seen.store.nodes.all() if selected(node, render.pod))
    return tuple(
        sorted(
            own_label(node)
            for node, there in known
            if there and not fits(node, render.pod) and sharing(node, render.pod, there) != "Whole"
        )
    )


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


def _profile(options: PodOptions) -> re.Match[str] | None:
    """Return the profile of the instances that pods ask for; None: they ask for none."""
    wanted = options.gpu_request
    return INSTANCE.fullmatch(wanted[0]) if wanted else None


def of_kind(gpus: tuple[GpuId, ...], readings: Mapping[GpuId, Reading], options: PodOptions) -> tuple[GpuId, ...]:
    """Return those GPUs of a node that pods may get: of instances, those of the profile that is asked for."""
    profile = _profile(options)
    if profile is None:
        return gpus
    size = int(profile[1]) * 1e9 / 2**20

    def has_its_size(gpu: GpuId) -> bool:
        # Profiles are named by whole GB, of which some are the driver's: 1g.10gb has 9,728 MiB, 1g.5gb has 4,864.
        reading = readings.get(gpu)
        return bool(gpu.instance) and (reading is None or 0.8 * size < reading.total_mib < 1.15 * size)

    return tuple(gpu for gpu in gpus if has_its_size(gpu))


def capacity(node: NodeView, render: Render) -> int:
    """Return how many of a run's pods fit on a node at most, by CPUs and devices; others may leave less."""
    fit = node.cpus // render.threads
    wanted = render.pod.gpu_request
    return min(fit, node.devices.get(wanted[0], 0) // wanted[1]) if wanted else fit

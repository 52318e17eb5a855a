"""Which kind of nodes a run's clips are made on, if all are made on one (``render.requireIdenticalNodes``).

The kind is chosen once, written into the run's status, and only then is a pod released. So no two operators, and no
operator before and after a restart, choose two kinds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.observing.devices import Offer
from clipfarm.cluster.observing.seen import Seen
from clipfarm.run import Run
from clipfarm.world import Label, NodeKind, Running

CPU_MODEL = tuple(f"feature.node.kubernetes.io/cpu-model.{part}" for part in ("vendor_id", "family", "id"))
"""Labels of Node Feature Discovery: together they name a processor's model."""
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
"""A label of cloud providers: machines of one type have one processor, and one kind of GPU."""
GPU_PRODUCT = "nvidia.com/gpu.product"
"""A label of NVIDIA's GPU feature discovery, as the next ones."""
DRIVER = (
    "nvidia.com/cuda.driver-version.full",
    "nvidia.com/cuda.driver.major",
    "nvidia.com/cuda.driver.minor",
    "nvidia.com/cuda.driver.rev",
)
"""Versions before 0.17 have the last three."""
INSTEAD = (
    "label the nodes, or make a new run without requireIdenticalNodes, and with a render.pod.nodeSelector that nodes of"
    " one kind alone have"
)


def node_kind(
    run: Run,
    recorded: tuple[Label, ...],
    before: NodeKind,
    seen: Seen,
    offered: Sequence[Offer],
    running: Iterable[Running],
    ended: int,
) -> NodeKind:
    """Return the kind of nodes that a run's pods go to; any, if the run does not require one.

    Args:
        run: the run.
        recorded: the kind that its status names: see :func:`recorded_labels`.
        before: the kind that the last look chose.
        seen: what there is to look at.
        offered: what the nodes that fit offer the run's pods.
        running: its pods that were released.
        ended: indexes of its Job that are complete, or failed.
    """
    if not run.spec.render.require_identical_nodes:
        return NodeKind()
    if recorded:
        return NodeKind(recorded)
    chosen = before.labels or _first(run, seen, offered, tuple(running), ended)
    if isinstance(chosen, NodeKind):
        return chosen
    return NodeKind(chosen, f"the kind of nodes was just chosen: {text(chosen)}")


def labels_of(node: NodeView, *, on_gpu: bool) -> tuple[Label, ...]:
    """Return the labels that name a node's processor, and for clips on a GPU its GPU; none unless both are known."""
    by_model = _present(node, CPU_MODEL)
    instance = _present(node, (INSTANCE_TYPE,))
    labels = by_model if len(by_model) == len(CPU_MODEL) else instance
    if not on_gpu or not labels:
        return labels
    if gpu := _present(node, (GPU_PRODUCT,)):
        return (*labels, *gpu, *_present(node, DRIVER))
    return tuple(dict.fromkeys((*labels, *instance))) if instance else ()


def text(labels: Iterable[Label]) -> str:
    """Return labels as kubectl takes them."""
    return ",".join(f"{key}={value}" for key, value in labels)


def recorded_labels(status: Mapping[str, Any]) -> tuple[Label, ...]:
    """Return the kind of nodes that a status names; none if it names none."""
    found = status.get("identicalNodes") or {}
    return tuple(sorted((str(key), str(value)) for key, value in found.items())) if isinstance(found, dict) else ()


def _first(
    run: Run, seen: Seen, offered: Sequence[Offer], running: tuple[Running, ...], ended: int
) -> tuple[Label, ...] | NodeKind:
    """Return the labels of the nodes to begin with, or why there are none."""
    on_gpu = run.spec.render.device != "cpu"
    known = {node.name: node for node in seen.store.nodes.all()}
    placed = next((known[pod.node] for pod in running if pod.node in known), None)
    if placed is not None:
        # Released before there was a node, so that an autoscaler added one: this one.
        return labels_of(placed, on_gpu=on_gpu) or NodeKind(unsettled=_unlabelled(placed, on_gpu=on_gpu))
    if running:
        return NodeKind(unsettled="the node that the first pod gets decides on which kind of nodes clips are made")
    if ended:
        return NodeKind(unsettled="clips were made on nodes that are not known any more; make a new run")
    return _largest(run, seen, offered, on_gpu=on_gpu)


def _largest(run: Run, seen: Seen, offered: Sequence[Offer], *, on_gpu: bool) -> tuple[Label, ...] | NodeKind:
    """Return the kind of which the nodes that fit have room for most pods; of several the first node's."""
    render, vram = run.spec.render, run.spec.vram
    fitting = sorted((each for each in offered if each.capacity), key=lambda each: each.node.name)
    if not fitting:
        return NodeKind()  # an autoscaler may add the first one that is large enough
    with_gpus = [each for each in fitting if render.pod.gpu_request or _has_gpu(each.node, seen)]
    candidates = with_gpus if on_gpu and with_gpus else fitting
    room: dict[tuple[Label, ...], int] = {}
    for each in candidates:
        if labels := labels_of(each.node, on_gpu=on_gpu):
            room[labels] = room.get(labels, 0) + each.capacity
    if not room:
        return NodeKind(unsettled=_unlabelled(candidates[0].node, on_gpu=on_gpu))
    if on_gpu and not with_gpus and vram.enabled and vram.when_unknown == "Hold":
        # After the start of an operator no GPU is measured yet.
        first = candidates[0].node.name
        problem = seen.gpus.problem(first) or "no GPU found"
        return NodeKind(unsettled=f"no node that fits is known to have a GPU ({first}: {problem})")
    return max(room, key=lambda labels: room[labels])


def _has_gpu(node: NodeView, seen: Seen) -> bool:
    return bool(node.gpus or GPU_PRODUCT in node.labels or seen.gpus.on(node.name))


def _unlabelled(node: NodeView, *, on_gpu: bool) -> str:
    if labels_of(node, on_gpu=False):
        what, names = "GPU", GPU_PRODUCT
    else:
        what, names = "processor", f"{CPU_MODEL[0]}, family and id of Node Feature Discovery, or {INSTANCE_TYPE}"
    return f"node {node.name} has no label that names its {what} (found none of {names}); {INSTEAD}"


def _present(node: NodeView, names: Iterable[str]) -> tuple[Label, ...]:
    return tuple((name, value) for name in names if (value := node.labels.get(name)))

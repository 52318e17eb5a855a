"""Where a run's pods may go: the nodes that fit, with their GPUs."""

from collections.abc import Mapping
from dataclasses import replace

from clipfarm.cluster.api.nodes import fits, own_label, selected
from clipfarm.cluster.observing import stuck
from clipfarm.cluster.observing.beside import UNSEEN, Asking, beside
from clipfarm.cluster.observing.devices import capacity, counted, of_kind, sharing
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.world import GpuId, Label, Node, NodeKind, Reading


def nodes(
    tracked: Tracked, seen: Seen, readings: Mapping[GpuId, Reading], asking: Asking, kind: NodeKind
) -> tuple[Node, ...]:
    """Return the nodes of a kind that a run's pods may go to."""
    render, found = tracked.run.spec.render, []
    on_gpu = render.device != "cpu"
    probable: set[str] = set()
    remembered: dict[str, list[GpuId]] = {}
    for gpu in tracked.memory.watermarks:
        remembered.setdefault(gpu.node, []).append(gpu)
    for node in seen.store.nodes.all():
        if not (fits(node, render.pod) and kind.has(node.labels)):
            continue
        # After a restart nothing was measured yet, and gates are remembered: unknown, not gone.
        here = seen.gpus.on(node.name) or tuple(sorted(remembered.get(node.name, ())))
        if here or node.gpus:
            probable.add(node.name)
        most, (room, limit) = capacity(node, render), beside(tracked, seen, asking, node)
        limited = room is not None and room < most
        found.append(
            Node(
                node.name,
                node.cpus,
                of_kind(here, readings, render.pod),
                seen.gpus.problem(node.name) if on_gpu else "",
                sharing(node, render.pod, len(here)),
                most,
                room if limited else most,
                limit if limited else "",
                "" if seen.store.sees_all_pods else UNSEEN,
                label=own_label(node),
                devices=counted(node),
            )
        )
    avoid = stuck.avoided(tracked, (node.name for node in found if node.gpus), seen.now)
    if avoid:
        found = [replace(node, avoided=avoid.get(node.name, "")) for node in found]
    # Where nothing is known of any, the reason that is shown is the first one's: of a node that has GPUs, if one has.
    return tuple(sorted(found, key=lambda each: (on_gpu and each.name not in probable, each.name)))


def unfit(tracked: Tracked, seen: Seen) -> tuple[Label, ...]:
    """Return labels of nodes whose GPUs are shared, and that take no pods now: cordoned, or not ready."""
    render = tracked.run.spec.render
    if render.device == "cpu":
        return ()
    known = ((node, len(seen.gpus.on(node.name))) for node in seen.store.nodes.all() if selected(node, render.pod))
    return tuple(
        sorted(
            own_label(node)
            for node, there in known
            if there and not fits(node, render.pod) and sharing(node, render.pod, there) != "Whole"
        )
    )

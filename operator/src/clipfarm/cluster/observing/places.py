"""Where a run's pods may go: nodes that fit, with their GPUs and the room that other pods leave."""

from collections.abc import Iterable, Mapping, Sequence

from clipfarm.cluster.api.nodes import own_label
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.beside import UNSEEN, Asking, beside
from clipfarm.cluster.observing.devices import Offer, counted
from clipfarm.cluster.observing.seen import Seen
from clipfarm.world import Node


def nodes(
    asked: Asked,
    in_vain: Mapping[str, tuple[float, str]],
    seen: Seen,
    offered: Sequence[Offer],
    asking: Asking,
) -> tuple[Node, ...]:
    """Return nodes as rules see them, of what they offer a run's pods.

    Args:
        asked: the run.
        in_vain: until when no pod is narrowed to a node, and why.
        seen: what there is to look at.
        offered: what the nodes that fit offer the run's pods.
        asking: what one of its pods requests.
    """
    on_gpu, found = asked.run.spec.render.device != "cpu", []
    probable: set[str] = set()
    avoided = _avoided(in_vain, (offer.node.name for offer in offered if offer.of_kind), seen.now)
    for offer in offered:
        node, most = offer.node, offer.capacity
        if offer.gpus or node.gpus:
            probable.add(node.name)
        room, limit = beside(asking, seen.requested(node.name, asked.key, asking.priority), node)
        limited = room is not None and room < most
        found.append(
            Node(
                node.name,
                node.cpus,
                offer.of_kind,
                seen.gpus.problem(node.name) if on_gpu else "",
                offer.sharing,
                most,
                room if limited else most,
                limit if limited else "",
                "" if seen.store.sees_all_pods else UNSEEN,
                avoided=avoided.get(node.name, ""),
                label=own_label(node),
                devices=counted(node),
            )
        )
    # Where nothing is known of any, the reason that is shown is the first one's: of a node that has GPUs, if one has.
    return tuple(sorted(found, key=lambda each: (on_gpu and each.name not in probable, each.name)))


def _avoided(in_vain: Mapping[str, tuple[float, str]], nodes: Iterable[str], now: float) -> dict[str, str]:
    """Return to which of these nodes no pod is narrowed for some time, and why; not all of them."""
    found = {name: why for name, (until, why) in in_vain.items() if now < until}
    return found if any(name not in found for name in nodes) else {}

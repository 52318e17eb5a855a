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
    on_gpu = asked.run.spec.render.device != "cpu"
    avoided = _avoided(in_vain, (offer.node.name for offer in offered if offer.of_kind), seen.now)
    # A node without pods of the run is the same for all runs whose pods request the same.
    alike: dict[Offer, Node] = seen.shared.setdefault(("nodes", asking, on_gpu), {})
    found = []
    for offer in offered:
        name = offer.node.name
        if name in avoided or seen.has_own(name, asked.key):
            found.append(_node(offer, asked, seen, asking, avoided.get(name, "")))
            continue
        if offer not in alike:
            alike[offer] = _node(offer, asked, seen, asking)
        found.append(alike[offer])
    probable = {offer.node.name for offer in offered if offer.gpus or offer.node.gpus}
    # Where nothing is known of any, the reason that is shown is the first one's: of a node that has GPUs, if one has.
    return tuple(sorted(found, key=lambda each: (on_gpu and each.name not in probable, each.name)))


def _node(offer: Offer, asked: Asked, seen: Seen, asking: Asking, avoided: str = "") -> Node:
    node, most = offer.node, offer.capacity
    room, limit = beside(asking, seen.requested(node.name, asked.key, asking.priority), node)
    limited = room is not None and room < most
    return Node(
        node.name,
        node.cpus,
        offer.of_kind,
        "" if asked.run.spec.render.device == "cpu" else seen.gpus.problem(node.name),
        offer.sharing,
        most,
        room if limited else most,
        limit if limited else "",
        "" if seen.store.sees_all_pods else UNSEEN,
        avoided=avoided,
        label=own_label(node),
        devices=counted(node),
    )


def _avoided(in_vain: Mapping[str, tuple[float, str]], nodes: Iterable[str], now: float) -> dict[str, str]:
    """Return to which of these nodes no pod is narrowed for some time, and why; not all of them."""
    found = {name: why for name, (until, why) in in_vain.items() if now < until}
    return found if any(name not in found for name in nodes) else {}

"""No clip is sent to a node where it would wait for CPUs or a device: a pod that is sent there cannot go elsewhere."""

from clipfarm.decide.rules.rule import PlaceRule
from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.vram.place import Place
from clipfarm.units import format_clips


def _holds(place: Place, _situation: Situation) -> str | None:
    node, there = place.node, place.on_node
    if not place.states:
        return None  # it is sent nowhere: Kubernetes' scheduler finds a node
    if node.avoided:
        return f"a clip that was sent to {node.name} did not start: {node.avoided}"
    if node.room is not None and there.pods + there.taken >= node.room:
        clips = format_clips(node.room) if node.room else "no clip"
        return f"{node.name} has room for {clips} of this run" + (f": {node.room_limit}" if node.room_limit else "")
    if node.room is not None and there.waits:
        unseen = f" ({node.unseen})" if node.unseen else ""
        return f"a clip that was sent to {node.name} does not start: {there.waits}{unseen}"
    return None


RULE = PlaceRule(
    word="NodesFull",
    means=(
        "Every node has as many clips as its CPUs, memory or devices allow beside what other pods request there; or a "
        "pod that was sent to a node has not started there, now or in the last three minutes. The message says which."
    ),
    remedy=(
        "Nothing, or fewer `workers`. If a pod requests more than a node has: add larger nodes, or request less in a "
        "new run (`render.memory`). If a pod did not start: free some room on that node, exclude the node "
        "by a node selector, or add nodes. `node affinity` in the message: the volume cannot be mounted "
        "there, so it has to be ReadWriteMany."
    ),
    passes=True,
    more_nodes_help=True,
    holds=_holds,
)

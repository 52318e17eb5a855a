"""How many clips may run at a time."""

from clipfarm.run import Run, default_workers
from clipfarm.world import Node, World


def limit(run: Run, world: World) -> int | None:
    """Return how many clips may run at a time; None: the run does not say, and no node fits it yet.

    Where the run does not say it is fixed once, by the nodes that are there then: each clip that waits for a node would
    bring one where nodes are added by need, and each node more clips.
    """
    if run.spec.workers is not None:
        return run.spec.workers
    if world.workers is not None:
        return world.workers
    found = sum(_share(node, run.spec.render.threads) for node in world.nodes)
    if world.max_default_workers is not None:
        found = min(found, world.max_default_workers)
    return found or None


def _share(node: Node, threads: int) -> int:
    """Return a node's part: what leaves room for system and encoder, and no more than fits by devices."""
    share = default_workers(node.cpus, threads)
    return share if node.room is None else min(share, node.room)

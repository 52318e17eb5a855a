"""How many clips may run at a time."""

from clipfarm.run import Run, default_workers
from clipfarm.world import Node, World

PER_GPU = 2
"""Clips at a time on one GPU, if the run does not say how many. Processes take turns on a GPU, so a second one fills
the pauses of the first, and more only slow each other: 1.39 clips/s with one on an H200, 1.63 with two, 1.19 with
three (bench/RESULTS.md). With CUDA MPS three make 3.07: then ``workers`` is worth setting."""


def limit(run: Run, world: World) -> int | None:
    """Return how many clips may run at a time; None: the run does not say, and it cannot be settled yet.

    If the run does not say, the number is settled once, by the nodes that are there then: each clip that waits for a
    node would bring one where nodes are added by need, and each node more clips. On GPUs it is settled by the nodes
    whose GPUs are known; all are asked at the same time, and until they have answered no clip starts.
    """
    if run.spec.workers is not None:
        return run.spec.workers
    if world.workers is not None:
        return world.workers
    found = sum(_share(run, node) for node in world.nodes if not _is_unknown(run, node))
    if world.max_default_workers is not None:
        found = min(found, world.max_default_workers)
    return found or None


def _share(run: Run, node: Node) -> int:
    """Return a node's part: what leaves room for system and encoder, no more than its devices and GPUs are worth."""
    share = default_workers(node.cpus, run.spec.render.threads)
    if node.room is not None:
        share = min(share, node.room)
    if run.spec.render.device != "cpu" and node.gpus:
        share = min(share, PER_GPU * len(node.gpus))
    return share


def _is_unknown(run: Run, node: Node) -> bool:
    """Tell whether a node's GPUs are unknown, and no clip starts there until they are known."""
    vram = run.spec.vram
    waits = run.spec.render.device != "cpu" and vram.enabled and vram.when_unknown == "Hold"
    return waits and not node.gpus and bool(node.gpu_problem)

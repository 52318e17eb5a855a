"""How many clips may run at a time."""

from dataclasses import dataclass

from clipfarm.run import Run, default_workers
from clipfarm.world import Node, World

PER_GPU = 2
"""Clips at a time on one GPU, if the run does not say how many. Processes take turns on a GPU, so a second one fills
the pauses of the first, and more only slow each other: 1.39 clips/s with one on an H200, 1.63 with two, 1.19 with
three (bench/RESULTS.md). With CUDA MPS three make 3.07: then ``workers`` is worth setting."""


@dataclass(frozen=True, slots=True)
class Workers:
    """How many clips may run at a time, and whether that stays so."""

    limit: int | None
    """Now; None: there is no node whose part is known."""
    fixed: bool = True
    since: float | None = None
    """Since when there is a number that is not fixed; None: it is fixed, or there is none."""
    unknown: str = ""
    """Why it is not fixed: GPUs of a node that fits are unknown; empty: it is fixed, or no node fits."""


def workers(run: Run, world: World) -> Workers:
    """Return how many clips may run at a time.

    If the run does not say, the number is fixed once, by the nodes that are there then: each clip that waits for a
    node would bring one where nodes are added by need, and each node more clips.

    On GPUs it is fixed when those of all nodes are known. A node may never report any, so the others wait for it no
    longer than ``vram.staleAfter``; until then their number counts and may still change.
    """
    if run.spec.workers is not None:
        return Workers(run.spec.workers)
    if world.workers is not None:
        return Workers(world.workers)
    unknown = [node for node in world.nodes if _is_unknown(run, node)]
    since = world.now if world.workers_since is None else world.workers_since
    waits = bool(unknown) and world.now < since + run.spec.vram.stale_after
    found = sum(_share(run, node, waits=waits) for node in world.nodes)
    if world.max_default_workers is not None:
        found = min(found, world.max_default_workers)
    why = f"GPUs of {unknown[0].name} are unknown ({unknown[0].gpu_problem})" if unknown else ""
    if not found:
        return Workers(None, fixed=False, unknown=why)
    return Workers(found, fixed=False, since=since, unknown=why) if waits else Workers(found)


def _share(run: Run, node: Node, *, waits: bool) -> int:
    """Return a node's part: what leaves room for system and encoder, no more than its devices and GPUs are worth."""
    share = default_workers(node.cpus, run.spec.render.threads)
    if node.capacity is not None:
        share = min(share, node.capacity)
    if run.spec.render.device == "cpu":
        return share
    unknown = _is_unknown(run, node)
    if unknown and _holds_unknown(run):
        return 0  # no clip starts there
    # While it may still report its GPUs it has one: clips that have started are not taken back.
    gpus = len(node.gpus) or node.devices or (1 if unknown and waits else 0)
    return min(share, PER_GPU * gpus) if gpus else share


def _is_unknown(run: Run, node: Node) -> bool:
    """Tell whether it is unknown how many of a node's GPUs clips may use."""
    if run.spec.render.device == "cpu" or node.capacity == 0 or node.gpus or not node.gpu_problem:
        return False
    return _holds_unknown(run) or not node.devices


def _holds_unknown(run: Run) -> bool:
    """Tell whether no clip starts where GPUs are unknown."""
    return run.spec.vram.enabled and run.spec.vram.when_unknown == "Hold"

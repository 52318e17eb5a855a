"""Claims of encoders: memory that one which has just started will take of a GPU.

Once a reading surely shows it, it is a neighbour like any other program: its use changes with its work.
"""

from collections.abc import Iterable, Mapping

from clipfarm.world import ClipMemory, GpuId, Node, OtherRun, Reading, Running

SUFFIX = " (encoder)"
"""Behind the run's name in the ledger."""


def claims(
    run: str,
    size: ClipMemory,
    pods: Iterable[Running],
    nodes: Iterable[Node],
    readings: Mapping[GpuId, Reading],
) -> OtherRun:
    """Return a run's encoders as the ledger knows them: those that readings do not surely show.

    Args:
        run: its name in the ledger.
        size: what an encoder takes of each GPU that it uses.
        pods: encoders that have a node, or one for each GPU.
        nodes: theirs.
        readings: of all GPUs.
    """
    there = {node.name: node for node in nodes}
    young = tuple(pod for pod in pods if not _shown(pod, there.get(pod.node), readings, size.allocated_after))
    return OtherRun(run + SUFFIX, size, size.allocated_after, young, nodes=tuple(there.values()), encodes=True)


def _shown(pod: Running, node: Node | None, readings: Mapping[GpuId, Reading], after: float) -> bool:
    """Return whether readings of all GPUs that an encoder may use were made when it had its memory."""
    gpus = (pod.gpu,) if pod.gpu is not None else node.gpus if node else ()
    at = [reading.at - reading.lag for gpu in gpus if (reading := readings.get(gpu)) is not None]
    return bool(at) and pod.started_at is not None and min(at) >= pod.started_at + after

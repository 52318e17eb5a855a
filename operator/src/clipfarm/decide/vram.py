"""Gates: whether new pods may start on a GPU, by what it really has in use."""

from collections.abc import Mapping

from clipfarm.run import Vram
from clipfarm.units import format_duration
from clipfarm.world import Gate, GpuId, Node, Reading, World


def update(vram: Vram, world: World) -> Mapping[GpuId, Gate]:
    """Return the gate of each GPU that the nodes have.

    Closed above ``high``, open again below ``low``, between them as it was. Without a fresh reading a gate keeps its
    side of the hysteresis and knows that the use is unknown: unknown is not zero.
    """
    readings = {reading.gpu: reading for reading in world.readings}
    return {
        gpu: _gate(vram, gpu, node, readings.get(gpu), world.gates.get(gpu), world.now)
        for node in world.nodes
        for gpu in node.gpus
    }


def _gate(vram: Vram, gpu: GpuId, node: Node, reading: Reading | None, before: Gate | None, now: float) -> Gate:
    was_closed = before is not None and before.closed
    if reading is None:
        return Gate(gpu, was_closed, None, node.gpu_problem or "no reading yet")
    age = now - reading.at
    if age > vram.stale_after:
        problem = f"the last reading is {format_duration(age)} old"
        return Gate(gpu, was_closed, None, f"{problem}: {node.gpu_problem}" if node.gpu_problem else problem)
    if reading.used_fraction > vram.high:
        return Gate(gpu, True, reading)
    if reading.used_fraction < vram.low:
        return Gate(gpu, False, reading)
    return Gate(gpu, was_closed, reading)

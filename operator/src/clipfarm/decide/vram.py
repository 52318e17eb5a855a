"""Gates: whether new pods may start on a GPU, by what it really has in use."""

from collections.abc import Mapping
from dataclasses import replace

from clipfarm.decide.expectation import Counts, Expected, Where
from clipfarm.decide.others import follow, opens_below
from clipfarm.run import Vram
from clipfarm.units import format_duration
from clipfarm.world import Gate, GpuId, Node, Reading, World


def fresh(vram: Vram, world: World) -> dict[GpuId, Reading]:
    """Return readings that are not too old."""
    return {reading.gpu: reading for reading in world.readings if world.now - reading.at <= vram.stale_after}


def update(vram: Vram, world: World, counts: Mapping[Where, Counts], per_clip: Expected | None) -> Mapping[GpuId, Gate]:
    """Return the gate of each GPU that the nodes have.

    Closed above ``high``, open again below ``low``, or below ``high`` where others have less than ``low``; between
    them as it was. Without a fresh reading a gate keeps its side of the hysteresis, and the use is unknown, not zero.
    """
    readings = {reading.gpu: reading for reading in world.readings}
    return {
        gpu: _gate(vram, gpu, node, readings.get(gpu), world.gates.get(gpu), world.now, count, per_clip)
        for node in world.nodes
        for gpu in node.gpus
        for count in (counts.get(gpu if node.sharing == "Chosen" else node.name),)
    }


def _gate(
    vram: Vram,
    gpu: GpuId,
    node: Node,
    reading: Reading | None,
    before: Gate | None,
    now: float,
    count: Counts | None,
    per_clip: Expected | None,
) -> Gate:
    was_closed = before is not None and before.closed
    if reading is None:
        return _blind(gpu, before, node.gpu_problem or "no reading yet")
    age = now - reading.at
    if age > vram.stale_after:
        problem = f"the last reading is {format_duration(age)} old"
        return _blind(gpu, before, f"{problem}: {node.gpu_problem}" if node.gpu_problem else problem)
    fraction = reading.used_fraction
    known = before.others if before else None
    # A node that gives out its GPUs itself does not tell which clip is on which.
    others = follow(reading, known, count, per_clip) if node.sharing == "Chosen" else None
    closed = fraction > vram.high or (was_closed and fraction >= opens_below(vram, reading, others))
    idle, share = _share(reading, before, count or Counts()) if node.sharing == "Chosen" else (None, None)
    most = per_clip.alone if per_clip and not per_clip.guessed else 0.0
    taken = (count is None or not count.pods) and (closed or reading.used_mib + most > reading.total_mib)
    since = (before.taken_since if before else None) or now
    return Gate(gpu, closed, reading, "", others, idle, share, taken_since=since if taken else None)


def _blind(gpu: GpuId, before: Gate | None, problem: str) -> Gate:
    """Return the gate of a GPU whose use is unknown: what was known of it before is kept."""
    return replace(before or Gate(gpu, False, None), reading=None, problem=problem, taken_since=None)


def _share(reading: Reading, before: Gate | None, count: Counts) -> tuple[float | None, float | None]:
    """Return what was in use without clips, and what each clip had beyond that, as far as there were such moments."""
    idle, share = (before.idle_mib, before.per_clip_mib) if before else (None, None)
    if not count.pods and not count.ended:
        return reading.used_mib, share
    if idle is not None and count.pods and not count.unseen and not count.ended:
        share = max(0.0, reading.used_mib - idle) / count.pods
    return idle, share

"""Watermarks: a GPU closes for new clips above ``vram.high``, and opens again below ``vram.low``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from clipfarm.decide.vram.counts import Counts, PlaceKey
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.neighbours import follow
from clipfarm.decide.vram.options import Vram
from clipfarm.decide.vram.others import NONE, Others
from clipfarm.units import format_duration
from clipfarm.world import GpuId, Neighbours, Node, Reading, WatermarkState, World


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest reading of each GPU. Runs that see the same readings may share one."""

    of_gpu: Mapping[GpuId, Reading]
    fresh: Mapping[GpuId, Reading]
    """Those that are not too old."""

    @classmethod
    def of(cls, vram: Vram, world: World) -> "Newest":
        """Return those of a snapshot."""
        every = {reading.gpu: reading for reading in world.readings}
        oldest = world.now - vram.stale_after
        return cls(every, {gpu: reading for gpu, reading in every.items() if reading.at >= oldest})


def opens_below(vram: Vram, reading: Reading, neighbours: Neighbours | None) -> float:
    """Return the fraction of a GPU below which it opens again.

    The use of clips is known, and they end soon. So ``low`` counts only if neighbours use that much.
    """
    if neighbours is not None and neighbours.now_mib < vram.low * reading.total_mib:
        return vram.high
    return vram.low


def holders_suffix(state: WatermarkState) -> str:
    """Return the largest users of a GPU's memory in brackets, to follow its name; empty if they are unknown."""
    holders = state.reading.holders[:3] if state.reading else ()
    if not holders:
        return ""
    named = (f"{each.name} {each.used_mib / 1024:.3g} GiB" if each.used_mib else each.name for each in holders)
    return f" ({', '.join(named)})"


def update(
    vram: Vram,
    world: World,
    counts: Mapping[PlaceKey, Counts],
    per_clip: Expected | None,
    others_on: Callable[[Node, GpuId], Others] = lambda _node, _gpu: NONE,
    newest: Newest | None = None,
) -> Mapping[GpuId, WatermarkState]:
    """Return the state of each GPU that the nodes have.

    It is closed above ``high`` and open below ``low`` (below ``high`` if neighbours use less than ``low``); in between
    it stays as it was. Without a fresh reading it keeps its state, and the use is unknown, not zero.

    Args:
        vram: the run's options.
        world: the snapshot.
        counts: the run's clips.
        per_clip: memory that one of them takes.
        others_on: returns the clips of other runs on a GPU.
        newest: the readings, where they are at hand.
    """
    newest = newest or Newest.of(vram, world)
    readings, fresh, known, now = newest.of_gpu, newest.fresh, world.watermarks, world.now
    most, high, follows = _alone(per_clip), vram.high, per_clip is not None and per_clip.average > 0
    found = {}
    for node in world.nodes:
        chosen = node.sharing == "Chosen"
        for gpu, reading, before in zip(node.gpus, map(fresh.get, node.gpus), map(known.get, node.gpus), strict=True):
            count = counts.get(gpu if chosen else node.name)
            # Most of a fleet's GPUs have no clip of the run, and have not been read again since the last tick.
            if (
                reading is not None
                and before is not None
                and before.reading is reading
                and count is None
                and not before.closed
                and before.kept_full_since is None
                and (before.neighbours is not None or not follows)
                and reading.used_mib <= high * reading.total_mib
                and reading.used_mib + most <= reading.total_mib
            ):
                found[gpu] = before
                continue
            newest_of_it = readings.get(gpu)
            found[gpu] = _state(vram, gpu, node, newest_of_it, before, now, count, per_clip, others_on(node, gpu))
    return found


def _alone(per_clip: Expected | None) -> float:
    """Return the memory that a clip needs on a GPU of its own, MiB; 0 where that is not known for certain."""
    return per_clip.alone if per_clip and not per_clip.guessed else 0.0


def _state(
    vram: Vram,
    gpu: GpuId,
    node: Node,
    reading: Reading | None,
    before: WatermarkState | None,
    now: float,
    count: Counts | None,
    per_clip: Expected | None,
    others: Others,
) -> WatermarkState:
    was_closed = before is not None and before.closed
    if reading is None:
        return _blind(gpu, before, node.gpu_problem or "no reading yet")
    age = now - reading.at
    if age > vram.stale_after:
        problem = f"the last reading is {format_duration(age)} old"
        return _blind(gpu, before, f"{problem}: {node.gpu_problem}" if node.gpu_problem else problem)
    fraction = reading.used_fraction
    known = before.neighbours if before else None
    # If a node gives out its GPUs itself, it is not known which clip is on which.
    neighbours = follow(reading, known, count, per_clip, others) if node.sharing == "Chosen" else None
    closed = fraction > vram.high or (was_closed and fraction >= opens_below(vram, reading, neighbours))
    idle, share = _share(reading, before, count or Counts(), others) if node.sharing == "Chosen" else (None, None)
    nothing_fits = closed or reading.used_mib + _alone(per_clip) > reading.total_mib
    kept_full = not (count and count.pods) and not others.pods and nothing_fits
    since = (before.kept_full_since if before else None) or now
    return WatermarkState(
        gpu, closed, reading, "", neighbours, idle, share, kept_full_since=since if kept_full else None
    )


def _blind(gpu: GpuId, before: WatermarkState | None, problem: str) -> WatermarkState:
    """Return the state of a GPU whose use is unknown: what was known before is kept."""
    return replace(before or WatermarkState(gpu, False, None), reading=None, problem=problem, kept_full_since=None)


def _share(
    reading: Reading, before: WatermarkState | None, count: Counts, others: Others
) -> tuple[float | None, float | None]:
    """Return the use without clips, and the use of each clip beyond that; None until there was such a moment."""
    idle, share = (before.idle_mib, before.per_clip_mib) if before else (None, None)
    if others.any and (others.unseen or others.ended or others.blind):
        return idle, share
    used = max(0.0, reading.used_mib - others.showing)
    if not count.pods and not count.ended:
        return used, share
    if idle is not None and count.pods and not count.unseen and not count.ended:
        share = max(0.0, used - idle) / count.pods
    return idle, share

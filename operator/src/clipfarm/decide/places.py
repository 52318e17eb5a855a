"""Where clips could start, and which place comes first."""

import math
from collections.abc import Iterable, Mapping

from clipfarm.decide.vram.claims import counted, measured
from clipfarm.decide.vram.counts import Counts, PlaceKey
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.others import Others
from clipfarm.decide.vram.place import OnNode, Place
from clipfarm.run import Run
from clipfarm.world import GpuId, WatermarkState, World


def places(
    run: Run,
    world: World,
    watermarks: Mapping[GpuId, WatermarkState],
    counts: Mapping[PlaceKey, Counts],
    others: Mapping[GpuId, Others],
) -> list[Place]:
    """Return where clips could start: GPUs if the run renders on GPUs, else the nodes' CPUs.

    Args:
        run: what is asked for.
        world: the snapshot.
        watermarks: of each GPU.
        counts: the run's clips.
        others: clips of other runs, by GPU, before the first turn.
    """
    found: list[Place] = []
    on_gpu = run.spec.render.device != "cpu"
    by_node = {node.name: OnNode() for node in world.nodes}
    for pod in world.running:
        on_node = by_node.get(pod.node)
        if on_node is not None:
            on_node.pods += 1
            if pod.standing.state == "Released":
                on_node.waits = on_node.waits or pod.waits
    for node in world.nodes:
        if node.capacity == 0:
            continue  # it has not even the CPUs or the device for one
        here = tuple(watermarks[gpu] for gpu in node.gpus) if on_gpu else ()
        groups: Iterable[tuple[WatermarkState, ...]] = [(state,) for state in here]
        if node.sharing != "Chosen":
            groups = [here]
        for group in groups if here else [()]:
            place = Place(node, group, on_gpu, on_node=by_node[node.name])
            gpu = place.gpu
            if gpu is not None and gpu in others:
                place.others, place.changes = others[gpu], 0
            there = counts.get(gpu or node.name)
            if there is not None:
                place.count = there.copy()
            found.append(place)
    return found


def clips(place: Place) -> float:
    """Return how many clips of all runs are in a place, for one GPU."""
    gpus = max(1, len(place.states))
    # Of a sliced node, others are those on one GPU.
    return place.count.pods / gpus + place.others.pods / (gpus if place.node.sharing == "Whole" else 1)


def rank(place: Place, per_clip: Expected | None) -> tuple[float, float]:
    """Return a key that puts the place with the fewest clips first, and among equals the one with most memory left.

    Clips of all runs count.

    Clips on one GPU share its speed, and a GPU that neighbours keep busy is slower: its clips end later, and so it gets
    fewer. Going by memory alone would crowd them on the emptiest GPU, and none would be done sooner.
    """
    reading, pods = place.fullest.reading if place.fullest else None, clips(place)
    if reading is None:
        return (pods, math.inf)
    use = reading.used_mib
    if per_clip is not None:
        peaks = place.count.pods * per_clip.mean + place.others.peaks
        use = min(measured(place, per_clip), counted(place, peaks, per_clip))
    return (pods, use / reading.total_mib)

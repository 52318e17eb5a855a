"""Where clips could start, and which place comes first."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from clipfarm.decide.vram.claims import counted, measured
from clipfarm.decide.vram.counts import Counts, PlaceKey
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.place import OnNode, Place
from clipfarm.run import Run
from clipfarm.world import GpuId, WatermarkState, World


def places(
    run: Run, world: World, watermarks: Mapping[GpuId, WatermarkState], counts: Mapping[PlaceKey, Counts]
) -> list[Place]:
    """Return where clips could start: GPUs if the run renders on GPUs, else the nodes' CPUs."""
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
            there = counts.get(place.gpu or node.name, Counts())
            place.count = replace(there)
            found.append(place)
    return found


def rank(place: Place, per_clip: Expected | None) -> tuple[float, float]:
    """Return a key that puts the place with the fewest clips first, and among equals the one with most memory left.

    Clips of all runs count.

    Clips on one GPU share its speed, and a GPU that neighbours keep busy is slower: its clips end later, and so it gets
    fewer. Going by memory alone would crowd them on the emptiest GPU, and none would be done sooner.
    """
    reading, gpus = place.fullest.reading if place.fullest else None, max(1, len(place.states))
    # Of a sliced node, others are those on one GPU.
    pods = place.count.pods / gpus + place.others.pods / (gpus if place.node.sharing == "Whole" else 1)
    if reading is None:
        return (pods, math.inf)
    use = reading.used_mib
    if per_clip is not None:
        clips = place.count.pods * per_clip.mean + place.others.peaks
        use = min(measured(place, per_clip), counted(place, clips, per_clip))
    return (pods, use / reading.total_mib)

"""Where clips could start, and which place comes first."""

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from clipfarm.decide.vram.claims import counted, measured
from clipfarm.decide.vram.counts import Counts, PlaceKey
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.ledger import Ledger
from clipfarm.decide.vram.place import OnNode, Place
from clipfarm.run import Run
from clipfarm.world import GpuId, Node, WatermarkState, World


class Unseen(NamedTuple):
    """A GPU that no clip of the tick was offered yet. A fleet has hundreds, of which a tick fills a few."""

    node: Node
    gpu: GpuId


class Places:
    """Where clips of a run could start: GPUs if the run renders on GPUs, else the nodes' CPUs."""

    def __init__(
        self,
        run: Run,
        world: World,
        watermarks: Mapping[GpuId, WatermarkState],
        counts: Mapping[PlaceKey, Counts],
        ledger: Ledger,
        name: str,
    ) -> None:
        """Begin.

        Args:
            run: what is asked for.
            world: the snapshot.
            watermarks: of each GPU.
            counts: the run's clips.
            ledger: clips of all runs.
            name: the run's, in the ledger.
        """
        self._on_gpu, self._world = run.spec.render.device != "cpu", world
        self._watermarks, self._counts = watermarks, counts
        self._ledger, self._name = ledger, name

    def all(self) -> Iterator[tuple[tuple[float, float], Place | Unseen]]:
        """Yield every place, with a key that is at most its :func:`rank`."""
        for node in self._world.nodes:
            if node.capacity == 0:
                continue  # it has not even the CPUs or the device for one
            if self._on_gpu and node.sharing == "Chosen" and node.gpus:
                for gpu in node.gpus:
                    yield self._at_most(node, gpu), Unseen(node, gpu)
                continue
            here = tuple(self._watermarks[gpu] for gpu in node.gpus) if self._on_gpu else ()
            place = self._place(node, here)
            yield (clips(place), -math.inf), place

    def seen(self, place: Place | Unseen) -> tuple[Place, bool]:
        """Return a place as it is now, with all that other runs have started there, and whether it has changed."""
        if isinstance(place, Unseen):
            return self._place(place.node, (self._watermarks[place.gpu],)), True
        return place, self._ledger.refresh(self._name, self._world.pod_requests, place)

    def _at_most(self, node: Node, gpu: GpuId) -> tuple[float, float]:
        """Return a key that is at most the rank of a GPU: without what clips claim, and the next burst."""
        pods, freed = self._ledger.there(node, gpu)
        reading = self._watermarks[gpu].reading
        return pods, math.inf if reading is None else (reading.used_mib - freed) / reading.total_mib

    def _place(self, node: Node, group: tuple[WatermarkState, ...]) -> Place:
        place = Place(node, group, self._on_gpu, on_node=self._on_nodes[node.name])
        there = self._counts.get(place.gpu or node.name)
        if there is not None:
            place.count = there.copy()
        self._ledger.refresh(self._name, self._world.pod_requests, place)
        return place

    @cached_property
    def _on_nodes(self) -> dict[str, OnNode]:
        """The run's pods on each node."""
        found = {node.name: OnNode() for node in self._world.nodes}
        for pod in self._world.running:
            on_node = found.get(pod.node)
            if on_node is not None:
                on_node.pods += 1
                if pod.standing.state == "Released":
                    on_node.waits = on_node.waits or pod.waits
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

"""Where clips could start, and which place comes first."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from clipfarm.decide.vram.claims import counted, measured
from clipfarm.decide.vram.counts import Counts, PlaceKey
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.ledger import Ledger
from clipfarm.decide.vram.place import OnNode, Place
from clipfarm.run import Run
from clipfarm.world import GpuId, Node, WatermarkState, World

Position = tuple[int, int]
"""Of a place: the number of the node, and of the GPU on it."""
Ranked = tuple[tuple[float, float], Position]
"""A key that is at most the :func:`rank` of a place, and its position."""


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

    def rest(self) -> Iterator[tuple[Ranked, Place]]:
        """Yield the places that are no GPUs of their own."""
        for number, node in enumerate(self._world.nodes):
            # Without a capacity it has not even the CPUs or the device for one.
            if node.capacity != 0 and not self._has_own(node):
                here = tuple(self._watermarks[gpu] for gpu in node.gpus) if self._on_gpu else ()
                place = self._place(node, here)
                yield ((clips(place), -math.inf), (number, 0)), place

    def by_clips(self) -> Sequence[tuple[float, Sequence[Position]]]:
        """Return the GPUs that a clip may be sent to, by how many clips of all runs are on each, the fewest first.

        A fleet has hundreds, of which a tick fills a few. In its turns GPUs only fill up, so what the first run finds
        holds for all that have the same nodes.
        """
        nodes = [(number, node) for number, node in enumerate(self._world.nodes) if node.capacity != 0]
        nodes = [each for each in nodes if self._has_own(each[1])]
        key = tuple((number, node.name, node.gpus) for number, node in nodes)
        known: Sequence[tuple[float, Sequence[Position]]] | None = self._ledger.shared.get(key)
        if known is None:
            groups: dict[float, list[Position]] = {}
            for number, node in nodes:
                for position, gpu in enumerate(node.gpus):
                    groups.setdefault(self._ledger.there(node, gpu).pods, []).append((number, position))
            known = self._ledger.shared[key] = sorted(groups.items())
        return known

    def at_most(self, position: Position, per_clip: Expected | None) -> Ranked:
        """Return a GPU's position, with a key that is at most its rank, but for rounding."""
        node = self._world.nodes[position[0]]
        state = self._watermarks[node.gpus[position[1]]]
        there, reading, neighbours = self._ledger.there(node, state.gpu), state.reading, state.neighbours
        if reading is None:
            return (there.pods, math.inf), position
        use = max(0.0, reading.used_mib - there.freed)
        if per_clip is not None:
            reserve, most = (neighbours.reserve_mib, neighbours.most_mib) if neighbours else (0.0, math.inf)
            use = min(use + reserve + there.claimed, max(use, most + there.peaks))
        return (there.pods, use / reading.total_mib), position

    def at(self, position: Position) -> Place:
        """Return a GPU as it is now, with all that other runs have started there."""
        node = self._world.nodes[position[0]]
        return self._place(node, (self._watermarks[node.gpus[position[1]]],))

    def changed(self, place: Place) -> bool:
        """Bring a place up to date with all that other runs have started there; return whether it has changed."""
        return self._ledger.refresh(self._name, self._world.pod_requests, place)

    def _has_own(self, node: Node) -> bool:
        """Return whether each GPU of a node is a place of its own."""
        return self._on_gpu and node.sharing == "Chosen" and bool(node.gpus)

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

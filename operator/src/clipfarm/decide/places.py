"""Where clips could start, and what is expected of the memory there."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from clipfarm.decide.expectation import Counts, Expected, Where
from clipfarm.run import Run
from clipfarm.world import Gate, GpuId, Node, World


@dataclass(slots=True)
class OnNode:
    """Pods of this run on one node."""

    pods: int = 0
    waits: str = ""
    """Why the scheduler does not get one of them to run there."""


@dataclass(slots=True)
class Place:
    """A GPU, the GPUs of a node that gives them out itself, or a node's CPUs. Counts grow by each clip let in."""

    node: Node
    gates: tuple[Gate, ...]
    """Empty: nothing there is measured."""
    needs_gpu: bool
    count: Counts = field(default_factory=Counts)
    on_node: OnNode = field(default_factory=OnNode)

    @property
    def gpu(self) -> GpuId | None:
        """The GPU that a clip is told to use; None where the node gives GPUs out itself, or has none."""
        return self.gates[0].gpu if self.gates and self.node.sharing == "Chosen" else None

    @property
    def gate(self) -> Gate | None:
        """The gate that counts: of GPUs that a clip may come to without being asked, the fullest one's."""
        return max(self.gates, key=lambda gate: gate.reading.used_fraction if gate.reading else math.inf, default=None)

    def measured(self, per_clip: Expected) -> float:
        """Return what readings show, with others' next burst and pods that may not show, MiB; infinite if unknown.

        Too much where young pods have allocated already; too little where pods that have are between two peaks.
        Nodes that give out slices of their GPUs spread pods evenly over them.
        """
        if self.gate is None or self.gate.reading is None:
            return math.inf
        share = len(self.gates)
        freed = self.count.gone // share * per_clip.average
        reserve = self.gate.others.reserve_mib if self.gate.others else 0.0
        now = max(0.0, self.gate.reading.used_mib - freed)
        return now + reserve + math.ceil(self.count.unseen / share) * per_clip.mean

    def counted(self, clips_mib: float, per_clip: Expected) -> float:
        """Return what others have in use, and so much for clips of the run, MiB; infinite if unknown."""
        if self.gate is None or self.gate.reading is None or self.gate.others is None:
            return math.inf
        floor = max(0.0, self.gate.reading.used_mib - self.count.gone * per_clip.average)
        return max(floor, self.gate.others.most_mib + clips_mib)

    def let_in(self) -> None:
        """Count one more pod."""
        self.count.pods += 1
        self.count.unseen += 1
        self.on_node.pods += 1

    def rank(self, per_clip: Expected | None) -> tuple[float, float]:
        """Return a key that puts the place with the fewest clips first, and of those the one with most memory left.

        Clips on one GPU share its speed, and a GPU that others keep busy is slower: it gets rid of its clips later, and
        so gets fewer. Going by memory alone would crowd them on the emptiest GPU, and none would be done sooner.
        """
        reading = self.gate.reading if self.gate else None
        if reading is None:
            return (self.count.pods / max(1, len(self.gates)), math.inf)
        use = reading.used_mib
        if per_clip is not None:
            use = min(self.measured(per_clip), self.counted(self.count.pods * per_clip.mean, per_clip))
        return (self.count.pods / len(self.gates), use / reading.total_mib)


def places(run: Run, world: World, gates: Mapping[GpuId, Gate], counts: Mapping[Where, Counts]) -> list[Place]:
    """Return where clips could run: GPUs where the run renders on GPUs, else the nodes' CPUs."""
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
        if node.room == 0:
            continue  # it has not even the CPUs or the device for one
        here = tuple(gates[gpu] for gpu in node.gpus) if on_gpu else ()
        groups: Iterable[tuple[Gate, ...]] = [(gate,) for gate in here] if node.sharing == "Chosen" else [here]
        for group in groups if here else [()]:
            place = Place(node, group, on_gpu, on_node=by_node[node.name])
            there = counts.get(place.gpu or node.name, Counts())
            place.count = replace(there)
            found.append(place)
    return found

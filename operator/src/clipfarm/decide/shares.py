"""A run's share of what there is, by which runs take turns.

It is the larger of its part of all GPU memory and its part of all CPUs, divided by ``spec.priority``: dominant resource
fairness (Ghodsi et al., NSDI 2011), with weights.
"""

from collections.abc import Collection
from dataclasses import dataclass

from clipfarm.decide.vram.expected import Expected
from clipfarm.run import Run
from clipfarm.world import World


@dataclass(frozen=True, slots=True)
class Whole:
    """What there is."""

    cpus: int
    memory_mib: float
    """Of all GPUs that are known."""
    unknown_mib: float
    """What a clip of unknown size counts as: the mean of those that are known."""

    @classmethod
    def of(cls, worlds: Collection[World], sizes: Collection[Expected]) -> "Whole":
        """Return what several runs see together; ``sizes`` are of clips of those that know it."""
        cpus = {node.name: node.cpus for world in worlds for node in world.nodes}
        # Most runs see the same readings: those of each are gone through once.
        seen = {id(world.readings): world.readings for world in worlds}.values()
        memory = {reading.gpu: reading.total_mib for readings in seen for reading in readings}
        mean = sum(each.mean for each in sizes) / len(sizes) if sizes else 0.0
        return cls(max(1, sum(cpus.values())), sum(memory.values()), mean)

    def of_clip(self, run: Run, per_clip: Expected | None) -> float:
        """Return the share of one clip of a run."""
        spec = run.spec
        share = spec.render.threads / self.cpus
        if spec.render.device != "cpu" and self.memory_mib:
            share = max(share, (per_clip.mean if per_clip else self.unknown_mib) / self.memory_mib)
        return share / spec.priority

"""A place where a clip may start: its GPUs, and the clips that are there."""

import math
from dataclasses import dataclass, field

from clipfarm.decide.vram.counts import Counts
from clipfarm.decide.vram.others import NONE, Others
from clipfarm.world import GpuId, Node, WatermarkState


@dataclass(slots=True)
class OnNode:
    """Pods of this run on one node."""

    pods: int = 0
    taken: int = 0
    """Pods of this run that do not fit there any more, because pods of other runs are sent there in this tick."""
    waits: str = ""
    """Why the scheduler does not get one of them to run there; empty: it does."""


@dataclass(slots=True)
class Place:
    """A GPU, the GPUs of a node that gives them out itself, or a node's CPUs. Counts grow by each clip admitted."""

    node: Node
    states: tuple[WatermarkState, ...]
    """Its GPUs. Empty: nothing there is measured."""
    needs_gpu: bool
    count: Counts = field(default_factory=Counts)
    on_node: OnNode = field(default_factory=OnNode)
    others: Others = NONE
    """Clips of other runs there; of several GPUs, on the one that counts."""
    kept_for: str = ""
    """The run whose next clip the place is kept for; empty: none."""
    changes: int = -1
    """How many changes of the ledger on the node are taken into account."""

    @property
    def gpu(self) -> GpuId | None:
        """The GPU that a clip is sent to; None if the node gives GPUs out itself, or has none."""
        return self.states[0].gpu if self.states and self.node.sharing == "Chosen" else None

    @property
    def fullest(self) -> WatermarkState | None:
        """The GPU that counts: the fullest one, as a clip may come to any of them. None: nothing is measured."""
        if len(self.states) == 1:
            return self.states[0]
        return max(self.states, key=lambda each: each.reading.used_fraction if each.reading else math.inf, default=None)

    @property
    def empty(self) -> bool:
        """Whether no clip of any run is there: waiting would not free memory."""
        return not (self.count.pods or self.others.pods)

    def admit(self, *, last_attempt: bool = False) -> None:
        """Count one more pod."""
        self.count.pods += 1
        self.count.last_attempts += last_attempt
        self.count.unseen += 1
        self.on_node.pods += 1

"""What all looks of one moment are made of."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.requests import Amounts, Requested
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.world import GpuId, Reading

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Readings:
    """GPU memory as it was measured, the newest reading of each GPU."""

    by_gpu: Mapping[GpuId, Reading]
    every: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to look at, and when."""

    store: Store
    """What watches have brought."""
    gpus: Gpus
    """What is known of GPU memory."""
    now: float
    """The time, seconds on a clock that only goes forward."""
    wall: float
    """The time, Unix; of use only for what happened before this process was there."""
    on_their_way: Mapping[str, Sequence[Requested]] = field(default_factory=dict)
    """Renderers' pods that were released and that no watch shows without their gate yet, by the node of each."""
    shared: dict[Hashable, Any] = field(default_factory=dict)
    """Worked out once for all runs that ask for the same, by the name of what it is and what it depends on."""

    def readings(self, namespace: str) -> "Readings":
        """Return the readings that count for the runs of a namespace."""

        def make() -> Readings:
            by_gpu = dict(self.gpus.for_namespace(namespace))  # exporters answer within a tick, too
            return Readings(by_gpu, tuple(by_gpu.values()))

        return self.once(("readings", namespace), make)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was worked out for a run that asks for the same, or work it out.

        Args:
            key: the name of what it is, and what it depends on.
            make: works it out.
        """
        if key not in self.shared:
            self.shared[key] = make()
        found: T = self.shared[key]
        return found

    def has_own(self, node: str, run: RunKey) -> bool:
        """Return whether pods of a run request something of a node, or are on their way there."""
        return self.store.requests.has(node, run) or any(pod.run == run for pod in self.on_their_way.get(node, ()))

    def requested(self, node: str, run: RunKey, priority: int | None) -> Amounts:
        """Return what all pods but a run's own request of a node, those on their way there included.

        Pods with a lower priority are not counted; None: all are.
        """
        found = self.store.requests.others(node, run, priority)
        for pod in self.on_their_way.get(node, ()):
            if pod.run != run:
                found.update(dict(pod.requests))
        return found

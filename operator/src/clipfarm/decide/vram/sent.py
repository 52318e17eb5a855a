"""What the pods of a tick request of the nodes that they are sent to, before any watch shows them there."""

from dataclasses import dataclass, field

from clipfarm.world import Requests

EVERY = ""
"""Stands for all runs together; none has an empty name."""


@dataclass(slots=True)
class Sent:
    """Sums of requests, by node and run."""

    _sums: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)

    def add(self, run: str, requests: Requests, node: str) -> None:
        """Count one more pod that is sent to a node."""
        by_run = self._sums.setdefault(node, {})
        for sums in (by_run.setdefault(EVERY, {}), by_run.setdefault(run, {})):
            for resource, amount in requests:
                sums[resource] = sums.get(resource, 0) + amount

    def taken(self, run: str, requests: Requests, node: str) -> int:
        """Return how many pods of a run could take the room of those that other runs have sent to a node."""
        by_run = self._sums.get(node)
        if by_run is None:
            return 0
        every, own = by_run[EVERY], by_run.get(run, {})
        others = ((every.get(resource, 0) - own.get(resource, 0), amount) for resource, amount in requests if amount)
        return max((-(-theirs // amount) for theirs, amount in others), default=0)

    def clear(self) -> None:
        """Begin with another tick."""
        self._sums.clear()

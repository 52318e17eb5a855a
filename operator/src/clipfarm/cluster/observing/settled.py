"""Indexes of a Job that get no other attempt, as its status reports them."""

from dataclasses import dataclass

from clipfarm.cluster.api.views import JobView
from clipfarm_contract.indexes import Indexes


@dataclass(frozen=True, slots=True)
class Settled:
    """Those that are complete, and those that have failed for good."""

    total: int
    """How many indexes the Job has."""
    completed: Indexes
    failed: Indexes

    @classmethod
    def of(cls, job: JobView | None, total: int) -> "Settled":
        """Return them for the Job that renders; None: there is none."""
        if job is None:
            return cls(total, Indexes(), Indexes())
        # A status is a text that others may write.
        return cls(total, job.completed.below(total), job.failed.below(total))

    @property
    def count(self) -> int:
        """How many they are."""
        return self.completed.count + self.failed.count

    def left(self) -> Indexes:
        """Return the indexes that are not settled."""
        return Indexes.between(0, self.total - 1).without(self.completed).without(self.failed)

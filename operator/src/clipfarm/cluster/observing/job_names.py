"""Who holds the name of one of a run's Jobs: for its clips, its report, or its export. All attempts share the name."""

from collections.abc import Iterable
from dataclasses import dataclass

from clipfarm.cluster.api.views import JobView
from clipfarm.manifests.common import Owner


@dataclass(frozen=True, slots=True)
class JobName:
    """What stands under the name."""

    own: JobView | None
    """The run's own Job, of any attempt, unless it is on its way out."""
    taken: bool
    """Whether there is any, also one on its way out or of an earlier run, which has to be gone first. A Job that is no
    run's stays: if it has the name, the API server refuses another, and the run says what is in the way."""


def job_name(owner: Owner, jobs: Iterable[JobView]) -> JobName:
    """Return what stands under a name; ``jobs`` are those of its kind that bear the run's label."""
    taken = [job for job in jobs if job.owner or job.deleting]
    own = next((job for job in taken if job.owner == owner.uid and not job.deleting), None)
    return JobName(own, bool(taken))

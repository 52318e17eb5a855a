"""A run's export as the objects of the cluster show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from clipfarm.cluster.api.export_pods import ExportPod
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing.job_names import job_name
from clipfarm.manifests import export
from clipfarm.manifests.common import Owner
from clipfarm.run import Run
from clipfarm.status_parts import ExportStatus


@dataclass(frozen=True, slots=True)
class Exporting:
    """The Job of a run's export, and its pods."""

    asked: str = ""
    """What tells the export that the run asks for from another one; empty: it asks for none."""
    before: ExportStatus | None = None
    """What the run's status says of this export; None: nothing."""
    job: JobView | None = None
    """The Job that makes it."""
    other: JobView | None = None
    """The run's Job, if it makes another export, or one that is not asked for any more."""
    taken: bool = False
    """Whether there is a Job of the export's name that is some run's, or is being deleted."""
    pods: tuple[ExportPod, ...] = ()
    """Pods of the Job, the oldest first."""

    @property
    def was_made(self) -> bool:
        """Whether the export is complete, whatever became of its Job since."""
        return self.before is not None and self.before.phase == "Succeeded"


def exporting(run: Run, owner: Owner, status: Mapping[str, Any], store: Store) -> Exporting:
    """Return what there is of a run's export."""
    key: RunKey = (owner.namespace, run.name)
    before = _written(status.get("export"))
    asked = export.asked(run, owner) if run.spec.export is not None else ""
    name = job_name(owner, store.exports.of(key).values())
    job = name.own if name.own is not None and name.own.attempt == asked else None
    pods = [pod for pod in store.export_pods.of(key).values() if job is not None and pod.owner == job.uid]
    return Exporting(
        asked,
        before if before is not None and before.asked == asked else None,
        job,
        other=name.own if job is None else None,
        taken=name.taken,
        pods=tuple(sorted(pods, key=lambda pod: pod.at)),
    )


def _written(found: object) -> ExportStatus | None:
    try:
        return ExportStatus.model_validate(found)
    except ValidationError:  # a status is a text that others may write
        return None

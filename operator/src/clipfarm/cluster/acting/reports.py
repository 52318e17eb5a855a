"""The Job that writes a run's report: made when the run has ended, and its status says so."""

from collections.abc import Mapping
from typing import Any

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.job_names import job_name
from clipfarm.manifests import report
from clipfarm.manifests.common import Images

REPORTED_SECONDS = 3600.0
"""How long after a run's end its report is made. An operator that starts within this makes what another one did not get
to. For runs that ended longer ago it makes none: an upgrade from a version without reports, or a clean-up of old Jobs,
would start a pod for each run that is there."""


def end_is_written(asked: Asked, status: Mapping[str, Any]) -> bool:
    """Return whether a status says that the run has ended, with all that was asked for since."""
    attempts = {"renderAttempt": asked.owner.attempt, "encodeAttempt": asked.owner.encode_attempt}
    written = all(status.get(field, "") == attempt for field, attempt in attempts.items())
    return bool(status.get("completionTime")) and written


def report_change(asked: Asked, status: Mapping[str, Any], store: Store, images: Images, wall: float) -> Change | None:
    """Return what is to be done about the report of a run that has ended.

    It holds the status as it was written at the end, so it comes after that, also over a restart.

    Args:
        asked: the run.
        status: as it is written.
        store: what watches have brought.
        images: the operator's own images.
        wall: the time, Unix.
    """
    key, owner = asked.key, asked.owner
    if wall >= unix_time(status["completionTime"]) + REPORTED_SECONDS:
        return None
    path, name = f"/apis/batch/v1/namespaces/{key[0]}/jobs", asked.names.report
    there = job_name(owner, store.reports.of(key).values())
    if (own := there.own) is not None and own.attempt != report.attempt(asked.run, owner):
        return Change("delete", f"{path}/{name}", "report Job", name, {"uid": own.uid}, optional=True)
    if there.taken:
        return None
    view = next(iter(store.runs.of(key).values()), None)
    created = view.document["metadata"]["creationTimestamp"] if view else ""
    made = report.job(asked.run, owner, images, status, created)
    return Change("create", path, "report Job", name, made, optional=True)

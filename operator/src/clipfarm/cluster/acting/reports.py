"""The Job that writes a run's report: made when the run has ended, and its status says so."""

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.observing.job_names import job_name
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.decide.plan import Plan
from clipfarm.manifests import report
from clipfarm.manifests.common import Images

REPORTED_SECONDS = 3600.0
"""How long after a run's end its report is made. An operator that starts within this makes what another one did not get
to. For runs that ended longer ago it makes none: an upgrade from a version without reports, or a clean-up of old Jobs,
would start a pod for each run that is there."""


def has_ended(plan: Plan, tracked: Tracked) -> bool:
    """Return whether the run has ended, its status says so, and there is a volume to look at."""
    status, owner = tracked.status, tracked.owner
    asked = {"renderAttempt": owner.attempt, "encodeAttempt": owner.encode_attempt}
    written = all(status.get(field, "") == attempt for field, attempt in asked.items())
    return plan.status.finished and bool(status.get("completionTime")) and written and tracked.answers.claim == "Bound"


def report_change(tracked: Tracked, seen: Seen, images: Images) -> Change | None:
    """Return what is to be done about the report of a run that has ended.

    It holds the status as it was written at the end, so it comes after that, also over a restart.
    """
    key, store, status, owner = tracked.key, seen.store, tracked.status, tracked.owner
    if seen.wall >= unix_time(status["completionTime"]) + REPORTED_SECONDS:
        return None
    path, name = f"/apis/batch/v1/namespaces/{key[0]}/jobs", tracked.names.report
    there = job_name(owner, store.reports.of(key).values())
    if (own := there.own) is not None and own.attempt != report.attempt(tracked.run, owner):
        return Change("delete", f"{path}/{name}", "report Job", name, {"uid": own.uid}, optional=True)
    if there.taken:
        return None
    view = next(iter(store.runs.of(key).values()), None)
    created = view.document["metadata"]["creationTimestamp"] if view else ""
    made = report.job(tracked.run, owner, images, status, created)
    return Change("create", path, "report Job", name, made, optional=True)

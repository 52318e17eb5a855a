"""From a plan to the requests that carry it out: what is made and changed for a run, beside gates and status."""

from clipfarm.cluster.acting import evictions, exporting, lost, rendering
from clipfarm.cluster.acting.change import Change, too_early
from clipfarm.cluster.api.client import Manifest, pointer
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.api.views import DeploymentView
from clipfarm.cluster.observing import stuck
from clipfarm.cluster.observing.job_names import job_name
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.decide.plan import Plan
from clipfarm.manifests import encoder, report, storage
from clipfarm.manifests.common import Images
from clipfarm_contract.objects import ASKED_ANNOTATION, TEMPLATE_ANNOTATION

REPORTED_SECONDS = 3600.0
"""How long after a run's end its report is made. An operator that starts within this makes what another one did not get
to. For runs that ended longer ago it makes none: an upgrade from a version without reports, or a clean-up of old Jobs,
would start a pod for each run that is there."""


def changes(
    plan: Plan,
    tracked: Tracked,
    seen: Seen,
    images: Images,
    patience: float = stuck.STUCK_SECONDS,
) -> list[Change]:
    """Return what is to be made or changed now.

    Args:
        plan: what should be done.
        tracked: the run.
        seen: what there is to look at.
        images: the operator's own images.
        patience: as :func:`clipfarm.cluster.observing.stuck.stuck` has it.
    """
    stuck_pods = stuck.stuck(tracked, seen, patience)
    ended = _has_ended(plan, tracked)
    lost_pods = lost.lost(tracked, seen.store.pods.of(tracked.key))
    found = [
        _claim(plan, tracked),
        *(() if tracked.run.spec.source else rendering.changes(plan, tracked, seen, images)),
        _encoder(plan, tracked, seen.store, images),
        _report(tracked, seen, images) if ended else None,
        exporting.change(tracked, images, ended=ended),
        *evictions.stuck_pods(stuck_pods),
        *evictions.lost_pods(lost_pods),
        *evictions.recalled_pods(plan, tracked, seen.store),
    ]
    return [change for change in found if change is not None and not too_early(change, tracked, seen.now)]


def _claim(plan: Plan, tracked: Tracked) -> Change | None:
    claim = storage.claim(tracked.run, tracked.owner)
    if claim is None or tracked.answers.claim not in (None, "Missing") or plan.status.finished:
        return None
    path = f"/api/v1/namespaces/{tracked.owner.namespace}/persistentvolumeclaims"
    return Change("create", path, "PersistentVolumeClaim", claim["metadata"]["name"], claim)


def _encoder(plan: Plan, tracked: Tracked, store: Store, images: Images) -> Change | None:
    key, name = tracked.key, tracked.names.encoder
    path, there = f"/apis/apps/v1/namespaces/{key[0]}/deployments", tracked.memory.deployment
    if there is None:
        # Of videos, an encoder is what the run begins with.
        if (
            tracked.run.spec.storage is None
            or not plan.encoders
            or any(old.owner for old in store.deployments.of(key).values())
        ):
            return None
        made = encoder.deployment(tracked.run, tracked.owner, images, plan.encoders)
        return Change("create", path, "Deployment", name, made)
    patch: list[Manifest] = []
    if there.replicas != plan.encoders:
        patch.append({"op": "add", "path": "/spec/replicas", "value": plan.encoders})
    if plan.encoders or (not there.asked and tracked.run.spec.encode.enabled):
        patch += _encoder_template(tracked, there, images)
    return Change("patch", f"{path}/{name}", "Deployment", name, patch) if patch else None


def _encoder_template(tracked: Tracked, there: DeploymentView, images: Images) -> list[Manifest]:
    """Return the patch that recreates a run's encoders, if the run asks for something else than when they were made.

    An operator of another version, or with other images, changes no encoder that is at work: it would lose the clips
    that are being encoded, and features of one run would come from two versions.
    """
    meant = encoder.deployment(tracked.run, tracked.owner, images, there.replicas)
    annotations = meant["metadata"]["annotations"]
    if there.asked == annotations[ASKED_ANNOTATION]:
        return []
    # An operator that kept no such note has seen the run as it is now, or the run was changed since.
    taken_over = not there.asked and tracked.status.get("observedGeneration") == tracked.generation
    if taken_over or there.template == annotations[TEMPLATE_ANNOTATION]:
        del annotations[TEMPLATE_ANNOTATION]
        patch: list[Manifest] = []
    else:
        patch = [{"op": "replace", "path": "/spec/template", "value": meant["spec"]["template"]}]
    return patch + [
        {"op": "add", "path": f"/metadata/annotations/{pointer(name)}", "value": value}
        for name, value in annotations.items()
    ]


def _has_ended(plan: Plan, tracked: Tracked) -> bool:
    """Return whether the run has ended, its status says so, and there is a volume to look at."""
    status, owner = tracked.status, tracked.owner
    asked = {"renderAttempt": owner.attempt, "encodeAttempt": owner.encode_attempt}
    written = all(status.get(field, "") == attempt for field, attempt in asked.items())
    return plan.status.finished and bool(status.get("completionTime")) and written and tracked.answers.claim == "Bound"


def _report(tracked: Tracked, seen: Seen, images: Images) -> Change | None:
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

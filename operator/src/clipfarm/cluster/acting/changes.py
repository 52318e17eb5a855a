"""From a plan to the requests that carry it out: what is made and changed for a run, beside gates and status."""

import re
from collections.abc import Iterator

from clipfarm.cluster.acting import evictions, lost, parallelism
from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.api.client import Manifest, pointer
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.api.views import DeploymentView
from clipfarm.cluster.observing import stuck
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.decide.plan import Plan
from clipfarm.manifests import encoder, job, report, run_files, storage
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Images
from clipfarm_contract.objects import ASKED_ANNOTATION, TEMPLATE_ANNOTATION

NO_CONFIG_MAP = re.compile('configmap "([^"]*)" not found')
"""A kubelet's words, of a variable or of a volume."""
SEEN_SECONDS = 30.0
"""An object that was made is seen by a watch within this; after it, it is believed to be gone again."""
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
    found = [
        _claim(plan, tracked),
        *_with_files(tracked, _job(plan, tracked, seen, images), seen.now),
        _encoder(plan, tracked, seen.store, images),
        _report(plan, tracked, seen, images),
        *evictions.stuck_pods(stuck.stuck(tracked, seen, patience)),
        *evictions.lost_pods(lost.lost(tracked, seen.store.pods.of(tracked.key))),
        *evictions.recalled_pods(plan, tracked, seen.store),
    ]
    return [change for change in found if change is not None and not _too_early(change, tracked, seen.now)]


def _too_early(change: Change, tracked: Tracked, now: float) -> bool:
    """Return whether what was made just now may not be there for the watches yet, or was refused just now."""
    since = tracked.work.made.get(change.kind) if change.verb == "create" or change.optional else None
    if since is None or tracked.memory.seen_at.get(change.kind, float("-inf")) >= since:
        return False
    return now < since + SEEN_SECONDS


def _claim(plan: Plan, tracked: Tracked) -> Change | None:
    claim = storage.claim(tracked.run, tracked.owner)
    if claim is None or tracked.answers.claim not in (None, "Missing") or plan.status.finished:
        return None
    path = f"/api/v1/namespaces/{tracked.owner.namespace}/persistentvolumeclaims"
    return Change("create", path, "PersistentVolumeClaim", claim["metadata"]["name"], claim)


def _job(plan: Plan, tracked: Tracked, seen: Seen, images: Images) -> Change | None:
    key, name, store, now = tracked.key, tracked.names.job, seen.store, seen.now
    path, there = f"/apis/batch/v1/namespaces/{key[0]}/jobs", tracked.memory.job
    if there is None:
        # One that is on its way out, or of an earlier run or attempt, has to be gone first. One that is no run's stays:
        # if it has the name, the API server refuses another, and the run says what is in the way.
        taken = [old for old in store.jobs.of(key).values() if old.owner or old.deleting]
        for old in taken:
            if old.owner == tracked.owner.uid and not old.deleting:
                return Change("delete", f"{path}/{name}", "Job", name, {"uid": old.uid})
        if taken or tracked.run.spec.storage is None or plan.status.finished:
            return None
        if tracked.owner.queue and plan.status.workers_unknown:
            return None  # it keeps the number of pods that it is made with
        workers = _known_workers(plan)
        blocks = Blocks.of(tracked.run, tracked.owner.only, workers=workers)
        pods = parallelism.first(plan, tracked, blocks.count, now)
        made = job.job(tracked.run, tracked.owner, images, pods, workers)
        # No pod may be without them, so they are there before the Job is.
        return Change("create", path, "Job", name, made, needs=_run_files(tracked))
    unfinished = there.completed.count + there.failed.count < tracked.memory.blocks.count
    lowers = None
    if plan.status.finished and unfinished:
        wanted = 0  # the run has failed as a whole: pods that will never start go from their gates
    elif plan.no_more_clips:
        return None
    else:
        wanted = parallelism.following(plan, tracked, there, store.pods.of(key).values(), now)
        lowers = wanted if wanted < there.parallelism else None
    if wanted == there.parallelism:
        return None
    return Change("patch", f"{path}/{name}", "Job", name, {"spec": {"parallelism": wanted}}, lowers=lowers)


def _known_workers(plan: Plan) -> int | None:
    """Return how many clips may run at a time, also if that may still change; None if no node fits the run yet."""
    status = plan.status
    return status.workers if status.fixed_workers is not None or status.workers_since is not None else None


def _with_files(tracked: Tracked, change: Change | None, now: float) -> Iterator[Change | None]:
    """Yield a change of the Job, and what is to be done about the ConfigMap of this attempt and of earlier ones."""
    if change is None:
        yield _missing_run_files(tracked)
    elif change.verb == "create" and tracked.owner.attempt and not _too_early(change, tracked, now):
        selector = {"labelSelector": run_files.others(tracked.run, tracked.owner)}
        path = f"/api/v1/namespaces/{tracked.owner.namespace}/configmaps"
        yield Change("clear", path, "ConfigMaps", "of earlier attempts", selector, optional=True)
    yield change


def _run_files(tracked: Tracked) -> Change:
    made = run_files.config_map(tracked.run, tracked.owner)
    path = f"/api/v1/namespaces/{tracked.owner.namespace}/configmaps"
    return Change("create", path, "ConfigMap", made["metadata"]["name"], made)


def _missing_run_files(tracked: Tracked) -> Change | None:
    """Return the request that makes the Job's ConfigMap again, if a kubelet does not find it."""
    standings = (pod.standing for _, pod in tracked.memory.rendering.at_work.values())
    missing = [found[1] for each in standings if (found := NO_CONFIG_MAP.search(each.message))]
    if not missing:
        return None
    made = _run_files(tracked)
    return made if made.name in missing else None


def _encoder(plan: Plan, tracked: Tracked, store: Store, images: Images) -> Change | None:
    key, name = tracked.key, tracked.names.encoder
    path, there = f"/apis/apps/v1/namespaces/{key[0]}/deployments", tracked.memory.deployment
    if there is None:
        if not plan.encoders or any(old.owner for old in store.deployments.of(key).values()):
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


def _report(plan: Plan, tracked: Tracked, seen: Seen, images: Images) -> Change | None:
    key, store, status, owner = tracked.key, seen.store, tracked.status, tracked.owner
    asked = {"renderAttempt": owner.attempt, "encodeAttempt": owner.encode_attempt}
    # The report holds the status as it was written at the end, so it comes after that, also over a restart.
    ended = status.get("completionTime")
    written = all(status.get(field, "") == attempt for field, attempt in asked.items())
    if not (plan.status.finished and ended and written and tracked.answers.claim == "Bound"):
        return None
    if seen.wall >= unix_time(ended) + REPORTED_SECONDS:
        return None
    path, name = f"/apis/batch/v1/namespaces/{key[0]}/jobs", tracked.names.report
    taken = [each for each in store.reports.of(key).values() if each.owner or each.deleting]
    own = next((each for each in taken if each.owner == owner.uid and not each.deleting), None)
    if own is not None and own.attempt != report.attempt(tracked.run, owner):
        return Change("delete", f"{path}/{name}", "report Job", name, {"uid": own.uid}, optional=True)
    if taken:
        return None
    view = next(iter(store.runs.of(key).values()), None)
    created = view.document["metadata"]["creationTimestamp"] if view else ""
    made = report.job(tracked.run, owner, images, status, created)
    return Change("create", path, "report Job", name, made, optional=True)

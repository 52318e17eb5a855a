"""The Job that renders a run's clips, and the ConfigMap that its pods read."""

import re
from collections.abc import Iterator

from clipfarm.cluster.acting import parallelism
from clipfarm.cluster.acting.change import Change, too_early
from clipfarm.cluster.observing.job_names import job_name
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.decide.plan import Plan
from clipfarm.manifests import job, run_files
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Images

NO_CONFIG_MAP = re.compile('configmap "([^"]*)" not found')
"""A kubelet's words, of a variable or of a volume."""


def job_changes(plan: Plan, tracked: Tracked, seen: Seen, images: Images) -> Iterator[Change | None]:
    """Yield what is to be done about the Job, and about the ConfigMap of this attempt and those of earlier ones."""
    change = _job(plan, tracked, seen, images)
    if change is None:
        yield _missing_run_files(tracked)
    elif change.verb == "create" and tracked.owner.attempt and not too_early(change, tracked, seen.now):
        selector = {"labelSelector": run_files.others(tracked.run, tracked.owner)}
        path = f"/api/v1/namespaces/{tracked.owner.namespace}/configmaps"
        yield Change("clear", path, "ConfigMaps", "of earlier attempts", selector, optional=True)
    yield change


def _job(plan: Plan, tracked: Tracked, seen: Seen, images: Images) -> Change | None:
    key, name, store, now = tracked.key, tracked.names.job, seen.store, seen.now
    path, there = f"/apis/batch/v1/namespaces/{key[0]}/jobs", tracked.memory.job
    if there is None:
        before = job_name(tracked.owner, store.jobs.of(key).values())
        if before.own is not None:  # of an earlier attempt
            return Change("delete", f"{path}/{name}", "Job", name, {"uid": before.own.uid})
        if before.taken or tracked.run.spec.storage is None or plan.status.finished:
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

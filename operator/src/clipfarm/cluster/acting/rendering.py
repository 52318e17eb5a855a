"""The Job that renders a run's clips: made once it may be, given as many pods as it needs, deleted with its attempt."""

from collections.abc import Iterator

from clipfarm.cluster.acting import parallelism
from clipfarm.cluster.acting.change import Change, too_early
from clipfarm.cluster.acting.config_maps import config_map, earlier_config_maps, missing_config_map
from clipfarm.cluster.observing.job_names import job_name
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.decide.plan import Plan
from clipfarm.manifests import job
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Images


def job_changes(plan: Plan, tracked: Tracked, seen: Seen, images: Images) -> Iterator[Change | None]:
    """Yield what is to be done about the Job, and about the ConfigMap of this attempt and those of earlier ones."""
    change = _job(plan, tracked, seen, images)
    if change is None:
        yield missing_config_map(tracked)
    elif change.verb == "create" and tracked.owner.attempt and not too_early(change, tracked, seen.now):
        yield earlier_config_maps(tracked)
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
        return Change("create", path, "Job", name, made, needs=config_map(tracked))
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

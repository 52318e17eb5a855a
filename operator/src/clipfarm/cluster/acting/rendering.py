"""The Job that renders a run's clips: made once it may be, given as many pods as it needs, deleted with its attempt."""

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.acting.config_maps import config_map
from clipfarm.cluster.acting.parallelism import Parallelism
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.job_names import job_name
from clipfarm.cluster.observing.memory import Memory
from clipfarm.decide.plan import Plan
from clipfarm.manifests import job
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Images


def job_change(
    plan: Plan, asked: Asked, memory: Memory, pods: Parallelism, store: Store, images: Images
) -> Change | None:
    """Return what is to be done about the Job.

    Args:
        plan: what should be done.
        asked: the run.
        memory: what is remembered of it.
        pods: says how many pods the Job is to have.
        store: what watches have brought.
        images: the operator's own images.
    """
    key, name, there = asked.key, asked.names.job, memory.job
    path = f"/apis/batch/v1/namespaces/{key[0]}/jobs"
    if there is None:
        before = job_name(asked.owner, store.jobs.of(key).values())
        if before.own is not None:  # of an earlier attempt
            return Change("delete", f"{path}/{name}", "Job", name, {"uid": before.own.uid})
        if before.taken or asked.run.spec.storage is None or plan.status.finished:
            return None
        if asked.owner.queue and plan.status.workers_unknown:
            return None  # it keeps the number of pods that it is made with
        workers = _known_workers(plan)
        blocks = Blocks.of(asked.run, asked.owner.only, workers=workers)
        first = pods.first(memory.rendering, blocks.count)
        made = job.job(asked.run, asked.owner, images, first, workers)
        # No pod may be without them, so they are there before the Job is.
        return Change("create", path, "Job", name, made, needs=config_map(asked), raises=first)
    unfinished = there.completed.count + there.failed.count < memory.blocks.count
    lowers = None
    if plan.status.finished and unfinished:
        wanted = 0  # the run has failed as a whole: pods that will never start go from their gates
    elif plan.no_more_clips:
        return None
    else:
        wanted = pods.following(memory, there, store.pods.of(key).values())
        lowers = wanted if wanted < there.parallelism else None
    if wanted == there.parallelism:
        return None
    raises = max(0, wanted - there.parallelism)
    body = {"spec": {"parallelism": wanted}}
    return Change("patch", f"{path}/{name}", "Job", name, body, lowers=lowers, raises=raises)


def _known_workers(plan: Plan) -> int | None:
    """Return how many clips may run at a time, also if that may still change; None if no node fits the run yet."""
    status = plan.status
    return status.workers if status.fixed_workers is not None or status.workers_since is not None else None

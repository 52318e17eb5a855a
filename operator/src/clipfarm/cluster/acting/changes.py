"""From a plan to the requests that carry it out: what is made and changed for a run, beside gates and status."""

from clipfarm.cluster.acting import evictions
from clipfarm.cluster.acting.change import Change, Recently
from clipfarm.cluster.acting.config_maps import config_map_change
from clipfarm.cluster.acting.encoding import encoder_change
from clipfarm.cluster.acting.exporting import export_change
from clipfarm.cluster.acting.lost import lost
from clipfarm.cluster.acting.parallelism import STEP, Parallelism
from clipfarm.cluster.acting.rendering import job_change
from clipfarm.cluster.acting.reports import end_is_written, report_change
from clipfarm.cluster.acting.storage import claim_change
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.stuck import STUCK_SECONDS, stuck
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.decide.plan import Plan
from clipfarm.manifests.common import Images


def changes(
    plan: Plan,
    tracked: Tracked,
    seen: Seen,
    images: Images,
    patience: float = STUCK_SECONDS,
    step: int = STEP,
) -> list[Change]:
    """Return what is to be made or changed now.

    Args:
        plan: what should be done.
        tracked: the run.
        seen: what there is to look at.
        images: the operator's own images.
        patience: as :func:`clipfarm.cluster.observing.stuck.stuck` has it.
        step: how many pods more its Job may be given now, at most.
    """
    asked, memory, status, work = tracked.asked, tracked.memory, tracked.status, tracked.work.on_job
    store, now, key = seen.store, seen.now, tracked.key
    claim, rendering, finished = tracked.answers.claim, memory.rendering, plan.status.finished
    recently = Recently(tracked.work.made, memory.seen_at, now)
    found = [] if finished else [claim_change(asked, claim)]
    if not asked.run.spec.source:
        pods = Parallelism.of(plan, tracked, now, step)
        job = next(recently.due(job_change(plan, asked, memory, pods, store, images)), None)
        found += [config_map_change(asked, job, (pod for _, pod in rendering.at_work.values())), job]
    named, as_seen = store.deployments.of(key).values(), status.get("observedGeneration") == asked.generation
    found += [encoder_change(asked, plan.encoders, memory.deployment, named, images, seen=as_seen)]
    ended = finished and claim == "Bound" and end_is_written(asked, status)
    found += [report_change(asked, status, store, images, seen.wall)] if ended else []
    found += [export_change(asked, memory.exporting, images, ended=ended)]
    own = store.pods.of(key)
    found += evictions.stuck_pods(stuck(asked, memory, work, store, now, patience))
    found += evictions.lost_pods(lost(rendering, own, work.given_up, asked.run.spec.retry.lost_after))
    found += evictions.recalled_pods(plan.recalls, own.values(), rendering.job, work.evicted)
    return list(recently.due(*found))

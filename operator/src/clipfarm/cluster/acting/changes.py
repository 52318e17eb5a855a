"""From a plan to the requests that carry it out: what is made and changed for a run, beside gates and status."""

from clipfarm.cluster.acting import evictions
from clipfarm.cluster.acting.change import Change, too_early
from clipfarm.cluster.acting.encoding import encoder_change
from clipfarm.cluster.acting.exporting import export_change
from clipfarm.cluster.acting.lost import lost
from clipfarm.cluster.acting.rendering import job_changes
from clipfarm.cluster.acting.reports import has_ended, report_change
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
) -> list[Change]:
    """Return what is to be made or changed now.

    Args:
        plan: what should be done.
        tracked: the run.
        seen: what there is to look at.
        images: the operator's own images.
        patience: as :func:`clipfarm.cluster.observing.stuck.stuck` has it.
    """
    store, ended = seen.store, has_ended(plan, tracked)
    stuck_pods, lost_pods = stuck(tracked, seen, patience), lost(tracked, store.pods.of(tracked.key))
    found = [
        claim_change(plan, tracked),
        *(() if tracked.run.spec.source else job_changes(plan, tracked, seen, images)),
        encoder_change(plan, tracked, store, images),
        report_change(tracked, seen, images) if ended else None,
        export_change(tracked, images, ended=ended),
        *evictions.stuck_pods(stuck_pods),
        *evictions.lost_pods(lost_pods),
        *evictions.recalled_pods(plan, tracked, store),
    ]
    return [change for change in found if change is not None and not too_early(change, tracked, seen.now)]

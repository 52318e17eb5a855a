"""From a look at a run to its draft, and from its plan to what is remembered of it."""

from dataclasses import replace

from clipfarm.cluster.acting.parallelism import Parallelism
from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.conditions import still_since
from clipfarm.decide.plan import Draft, Plan
from clipfarm.decide.vram.watermarks import Newest
from clipfarm.world import World


def draft_of(tracked: Tracked, world: World, seen: Seen) -> Draft:
    """Return the draft of a run's plan; what is newest of the readings is worked out once for runs that are alike."""
    vram = tracked.run.spec.vram
    newest = seen.once(("newest", tracked.key[0], vram.stale_after), lambda: Newest.of(vram, world))
    return Draft("/".join(tracked.key), tracked.run, world, tracked.created, newest)


def decided(tracked: Tracked, plan: Plan, now: float) -> Memory:
    """Return what is remembered of a run once it is decided what to do."""
    status = plan.status
    memory = replace(
        tracked.memory,
        watermarks=plan.watermarks,
        turn=plan.turn,
        workers=status.fixed_workers,
        workers_since=status.workers_since,
    )
    surplus = Parallelism.of(plan, tracked, now).surplus_since(memory)
    if surplus != memory.rendering.surplus_since:
        memory = replace(memory, rendering=replace(memory.rendering, surplus_since=surplus))
    return replace(memory, still_since=still_since(tracked, status, now))

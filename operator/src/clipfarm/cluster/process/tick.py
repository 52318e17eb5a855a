"""One tick: look at all runs that something happened to, decide for them in a fair order, and act on each."""

import bisect
import collections
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

from prometheus_client import Counter

from clipfarm.cluster.acting.apply import Applier
from clipfarm.cluster.acting.changes import changes
from clipfarm.cluster.acting.expiry import expired
from clipfarm.cluster.acting.pace import Pace
from clipfarm.cluster.acting.parallelism import STEP
from clipfarm.cluster.acting.release import Gatekeeper
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.requests import Requested
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process.decided import decided, draft_of
from clipfarm.cluster.process.roster import Roster
from clipfarm.cluster.reporting.clips import clips_held
from clipfarm.cluster.reporting.status import run_status
from clipfarm.cluster.reporting.writing import may_write, write_due
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.fair import Balance, turns
from clipfarm.decide.plan import Draft, Plan
from clipfarm.decide.vram import encoders
from clipfarm.decide.vram.ledger import Ledger
from clipfarm.manifests.common import Images
from clipfarm.world import GpuId, Moment

LOGGER = logging.getLogger(__name__)
FAULTS = Counter("clipfarm_run_faults_total", "Looks at a run that ended with a fault that was not foreseen")


@dataclass
class Ticker:
    """What a tick needs, and what it hands to the next."""

    store: Store
    gpus: Gpus
    runs: dict[RunKey, Tracked]
    roster: Roster
    applier: Applier
    gatekeeper: Gatekeeper
    images: Images
    patience: float
    """Seconds for which a pod may find no room on the node that it was sent to."""
    clock: Callable[[], float]
    wall: Callable[[], float]
    ledger: Ledger = field(default_factory=Ledger)
    """Clips of all runs. Those of a run that is not due are as its last look found them, a second ago at most."""
    _balance: Balance = field(default_factory=Balance)
    _pace: Pace = field(default_factory=Pace)
    _given: RunKey = ("", "")
    """The run whose Job was last given pods."""
    _waiting: set[RunKey] = field(default_factory=set)
    """Runs that wait for memory, or for room on a node: what comes free may be theirs, whichever run had it."""
    _looked: dict[RunKey, tuple[Tracked, Draft]] = field(default_factory=dict)
    """Each run at its last look."""
    _leaving: dict[str, tuple[Tracked, Draft]] = field(default_factory=dict)
    """Runs that are gone, by UID, whose pods are still there."""

    def forget(self) -> None:
        """Forget all runs: another operator acts from now on."""
        self.ledger, self._balance = Ledger(), Balance()
        for kept in (self._waiting, self._looked, self._leaving):
            kept.clear()

    async def tick(self, due: Collection[RunKey], pause: Callable[[], Awaitable[None]]) -> None:
        """Look, decide and act. A fault in one run does not keep others from it.

        All looks are of one moment: what watches and exporters bring meanwhile counts from the next tick on. Answers of
        requests are taken in, and a run of which one was under way at the look is changed no further.

        Args:
            due: runs that something happened to.
            pause: lets the event loop go on; an exception that it raises ends the tick.
        """
        seen = Seen(self.store, self.gpus, self.clock(), self.wall(), self._on_their_way())
        self._pace.learn(self.gatekeeper.answered(), seen.now)
        every = sorted({*due, *self._waiting})
        for namespace, _ in every:
            seen.readings(namespace)  # all of one moment
        looked: dict[RunKey, tuple[Tracked, Draft]] = {}
        free: set[RunKey] = set()
        gone: list[RunKey] = []
        for key in every:
            with self._guard(key):
                tracked = self.roster.follow(key)
                if key in self._looked and self._looked[key][0] is not tracked:
                    gone.append(key)
                if tracked is not None:
                    looked[key] = tracked, draft_of(tracked, look(tracked, seen), seen)
                    # What ends within the tick may have changed what it looked at.
                    if self.applier.free(tracked):
                        free.add(key)
            await pause()
        for key in gone:
            with self._guard(key):
                self._leave(key)
        self._enter_leaving(seen)
        keys = {draft.name: key for key, (_, draft) in looked.items()}
        drafts = [draft for _, draft in looked.values()]

        def guard(draft: Draft) -> AbstractContextManager[None]:
            return self._guard(keys[draft.name], looked)

        for _ in turns(drafts, self.ledger, seen.now, self._balance, guard):
            await pause()
        going_on = sum("completionTime" not in tracked.status for tracked in self.runs.values())
        for number, key in enumerate(self._in_turn(list(looked))):
            tracked, draft = looked[key]
            with self._guard(key):
                step = min(STEP, self._pace.of_each(len(looked) - number, seen.now))
                self._act(tracked, draft, seen, step, going_on, free=key in free)
                tracked.fault = ""
            await pause()
        self._looked |= looked

    def _in_turn(self, runs: list[RunKey]) -> list[RunKey]:
        """Return sorted runs in the order in which their Jobs are given pods: who was given some comes last."""
        first = bisect.bisect_right(runs, self._given)
        return runs[first:] + runs[:first]

    def _on_their_way(self) -> dict[str, list[Requested]]:
        """Return pods that were released and that no watch shows without their gate yet, by node."""
        found: dict[str, list[Requested]] = {}
        for key, tracked in self.runs.items():
            pods = self.store.pods.of(key)
            for uid, to in tracked.releases.released.items():
                node = to.node if isinstance(to, GpuId) else to if isinstance(to, str) else ""
                pod = pods.get(uid)
                if node and pod is not None and pod.gated:
                    found.setdefault(node, []).append(Requested(node, pod.requests, pod.priority, key))
        return found

    def _leave(self, key: RunKey) -> None:
        """Take note that a run is gone: its pods have memory until they have ended."""
        tracked, draft = self._looked.pop(key)
        for name in (draft.name, *(other.name for other in draft.world.others)):
            self.ledger.drop(name)
        self._waiting.discard(key)
        self._leaving[tracked.owner.uid] = tracked, draft

    def _enter_leaving(self, seen: Seen) -> None:
        """Enter the pods of runs that are gone, at the size that was known."""
        for uid, (tracked, draft) in list(self._leaving.items()):
            name, pods = f"{draft.name} (deleted)", self.store.pods.of(tracked.key)
            there = tuple(pod for uid, (_, pod) in tracked.memory.rendering.at_work.items() if uid in pods)
            encode = {pod.name for pod in self.store.encoders.of(tracked.key).values() if not pod.ended}
            others = tuple(
                replace(other, name=name + encoders.SUFFIX, running=left)
                for other in draft.world.others
                if (left := tuple(each for each in other.running if each.pod in encode))
            )
            if not (there or others):
                self.ledger.drop(name)
                self.ledger.drop(name + encoders.SUFFIX)
                del self._leaving[uid]
                continue
            readings, moment = seen.readings(tracked.key[0]).every, Moment(seen.now, seen.wall)
            world = replace(draft.world, moment=moment, running=there, readings=readings, others=others)
            Draft(name, draft.run, world).enter(self.ledger)

    def _act(self, tracked: Tracked, draft: Draft, seen: Seen, step: int, going_on: int, *, free: bool) -> None:
        """Carry out what was decided for a run.

        Args:
            tracked: the run.
            draft: what was decided.
            seen: what there is to look at.
            step: how many pods more its Job may be given.
            going_on: runs that have not ended.
            free: whether its objects may be changed: at the look, no change was under way.
        """
        plan, now = draft.plan(), seen.now
        tracked.memory = decided(tracked, plan, now)
        tracked.clips_per_hour = plan.status.clips_per_hour
        tracked.held = collections.Counter()
        for held, clips in clips_held(tracked.memory.blocks, draft.world, plan.status):
            tracked.held[held.hold.reason] += len(clips)
        (self._waiting.add if draft.waits else self._waiting.discard)(tracked.key)
        self._release(plan, tracked)
        if not free:
            return
        wanted = changes(plan, tracked, seen, self.images, self.patience, step)
        given = sum(change.raises for change in wanted)
        if given:
            self._pace.take(given)
            self._given = tracked.key
        new_status = None
        if may_write(tracked, now, going_on):
            status = run_status(tracked, draft.world, plan, seen.wall)
            new_status = status if write_due(tracked, status, now) else None
        is_over = expired(tracked.asked, tracked.status, self.store.reports.of(tracked.key).values(), seen.wall)
        if wanted or new_status is not None or is_over:
            self.applier.apply(tracked, wanted, new_status, expired=is_over)

    def _release(self, plan: Plan, tracked: Tracked) -> None:
        rendering = tracked.memory.rendering
        if not plan.start or tracked.memory.job is None or rendering.lowering is not None:
            return
        pods = {
            pod.index: pod
            for uid, pod in self.store.pods.of(tracked.key).items()
            if pod.gated and pod.owner == rendering.job and uid not in tracked.releases.released
        }
        for start in plan.start:
            pod = pods.get(start.index)
            if pod is not None:
                self.gatekeeper.release(tracked, pod, start.to)

    @contextmanager
    def _guard(self, key: RunKey, looked: dict[RunKey, tuple[Tracked, Draft]] | None = None) -> Iterator[None]:
        """Go on with the other runs after an unforeseen fault; it is logged once for each run until a tick succeeds."""
        try:
            yield
        except Exception:
            FAULTS.inc()
            tracked = self.runs.get(key)
            if tracked is None or not tracked.fault:
                LOGGER.exception("%s/%s: a fault that was not foreseen; this run stands still, others go on", *key)
            if tracked is not None:
                tracked.fault = "the operator cannot look at this run: a fault that was not foreseen; its log has more"
            if looked is not None:
                looked.pop(key, None)

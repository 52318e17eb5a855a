"""The loop: look, decide, do, for each run that something happened to."""

import asyncio
import collections
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from pydantic import ValidationError

from clipfarm.cluster.acting import parallelism
from clipfarm.cluster.acting.apply import Applier
from clipfarm.cluster.acting.changes import changes
from clipfarm.cluster.acting.invalid import Refusals
from clipfarm.cluster.acting.release import Gatekeeper
from clipfarm.cluster.api.client import Api
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.store import Store, Watcher, watchers
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.api.views import JobView, RunView
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.stuck import STUCK_SECONDS
from clipfarm.cluster.observing.tracked import Tracked, is_current, tracked_run
from clipfarm.cluster.process import run_metrics
from clipfarm.cluster.process.encoders import Route
from clipfarm.cluster.process.lease import Lease
from clipfarm.cluster.process.poller import Poller
from clipfarm.cluster.reporting.conditions import still_since
from clipfarm.cluster.reporting.status import may_write, run_status, write_due
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.plan import Plan, decide
from clipfarm.manifests import report
from clipfarm.manifests.common import Images

LOGGER = logging.getLogger(__name__)
TICK_SECONDS = 1.0
"""Seconds between two ticks of a run when nothing happens: a clip may start because time has passed."""
GATHER_SECONDS = 0.01
"""How long a wake-up waits for others: events come in swarms."""
REST = 3.0
"""How long it waits at least, in units of the last tick's time: with thousands of pods a tick at each event would keep
a core busy, and looking is to take no more than a quarter of one."""
LONGEST_REST_SECONDS = 0.25
REPORT_SECONDS = 600.0
"""How long a run whose time is over waits for its report to be written."""

TICKS = Histogram("clipfarm_tick_seconds", "One look, decision and action for all runs that were due")
FAULTS = Counter("clipfarm_run_faults_total", "Looks at a run that ended with a fault that was not foreseen")
LEADER = Gauge("clipfarm_leader", "1 while this operator holds the Lease and acts, 0 while it stands by")


@dataclass
class Operator:
    """All runs of one cluster."""

    api: Api
    images: Images
    namespaces: tuple[str, ...] = ()
    """Namespaces to look at; all where there are none."""
    gpus: Gpus = field(default_factory=Gpus)
    way: Route = "direct"
    """To the encoders."""
    lease: Lease | None = None
    """The right to write; None: no other operator can be there."""
    patience: float = STUCK_SECONDS
    """Seconds for which a pod may find no room on the node that it was sent to."""
    max_default_workers: int | None = None
    """The most workers of a run that does not say how many; None: as many as the nodes have room for."""
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    store: Store = field(default_factory=Store)
    runs: dict[RunKey, Tracked] = field(default_factory=dict)
    last_tick: float = field(init=False)
    synced: bool = False
    """Whether everything was read once."""
    leads: bool = False
    """Whether this operator acts. One that does not keeps what it has read up to date."""
    _watching: list[Watcher[Any]] = field(default_factory=list)
    _due: set[RunKey] = field(default_factory=set)
    _all_due: bool = True
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _tick_seconds: float = 0.0
    """How long the last tick took."""

    def __post_init__(self) -> None:
        self.last_tick = self.clock()
        self._applier = Applier(self.api, self.clock, self.wall)
        self._gatekeeper = Gatekeeper(self.api, self.clock, self.wall)
        self._refusals = Refusals(self.api, self.clock, self.wall)

    def mark(self, key: RunKey | None) -> None:
        """Mark a run as due; None: all runs."""
        if key is None:
            self._all_due = True
        else:
            self._due.add(key)
        self._wake.set()

    def unread(self) -> str:
        """Return what the API server refuses to list, and why; empty if it refuses nothing."""
        return next((f"{each.path}: {each.failure}" for each in self._watching if each.failure), "")

    async def run(self) -> None:
        """Watch and act, until cancelled. An unforeseen exception ends it and is raised."""
        watching = self._watching = watchers(self.store, self.namespaces, self.mark)
        poller = Poller(self.api, self.store, self.runs, self.gpus, self.images, self.mark, self.way)
        async with asyncio.TaskGroup() as group:
            for watcher in watching:
                group.create_task(watcher.run(self.api))
            # Until everything was read once, a decision would be made of half a picture.
            while not all(watcher.synced.is_set() for watcher in watching):
                self.last_tick = self.clock()
                await asyncio.sleep(GATHER_SECONDS)
            self.synced = True
            group.create_task(poller.run())
            if self.lease is None:
                self._lead()
            else:
                group.create_task(self.lease.hold(self._lead, self._stand_by))
            try:
                while True:
                    await self._wait()
                    if self.leads:
                        self._tick()
                    else:
                        self.last_tick = self.clock()
            finally:
                await self._applier.close()
                await self._gatekeeper.close()

    def _lead(self) -> None:
        self.leads = True
        LEADER.set(1)
        self.mark(None)

    def _stand_by(self) -> None:
        """Stop acting and forget what was remembered of runs: another operator changes them from now on."""
        self.leads = False
        LEADER.set(0)
        for tracked in self.runs.values():
            tracked.gone = True
        self.runs.clear()
        self._applier.cancel()
        self._gatekeeper.cancel()
        run_metrics.clear()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._wake.wait()
            await asyncio.sleep(max(GATHER_SECONDS, min(LONGEST_REST_SECONDS, REST * self._tick_seconds)))
        except TimeoutError:
            self._all_due = True
        self._wake.clear()

    @TICKS.time()
    def _tick(self) -> None:
        begun = self.clock()
        due = self._due
        if self._all_due:
            due = {view.run for view in self.store.runs.all()} | self.runs.keys()
        self._due, self._all_due = set(), False
        for key in sorted(due):
            try:
                tracked = self._follow(key)
                if tracked is not None:
                    self._look_decide_do(tracked)
                    tracked.fault = ""
            except Exception:  # noqa: BLE001 - others go on, whatever stands in the objects of this run
                self._faulty(key)
        run_metrics.count(self.runs.values())
        self.last_tick = self.clock()
        self._tick_seconds = self.last_tick - begun

    def _faulty(self, key: RunKey) -> None:
        """Record an unforeseen fault; it is logged once for each run until a tick succeeds."""
        FAULTS.inc()
        tracked = self.runs.get(key)
        if tracked is None or not tracked.fault:
            LOGGER.exception("%s/%s: a fault that was not foreseen; this run stands still, others go on", *key)
        if tracked is not None:
            tracked.fault = "the operator cannot look at this run: a fault that was not foreseen; its log has more"

    def _follow(self, key: RunKey) -> Tracked | None:
        """Return what is known of a run, brought up to date with what is asked for; None where there is no such run."""
        view = next((view for view in self.store.runs.of(key).values() if not view.deleting), None)
        known = self.runs.get(key)
        if known is not None and (view is None or view.uid != known.owner.uid):
            known.gone = True
            del self.runs[key]
            known = None
        if view is None:
            self._refusals.forget(key)
            return None
        if known is not None and is_current(known, view):
            return known
        try:
            tracked = tracked_run(view, self.max_default_workers)
        except (ValidationError, ValueError) as error:
            # The API server holds runs against the same rules; but some can be said here alone.
            self._refuse(key, view, error)
            return None
        if known is None:
            self.runs[key] = tracked
            return tracked
        known.update(tracked.run, tracked.owner, tracked.generation)
        return known

    def _refuse(self, key: RunKey, view: RunView, error: ValueError) -> None:
        known = self.runs.pop(key, None)
        if known is not None:
            known.gone = True
        self._refusals.report(key, view, error)

    def _look_decide_do(self, tracked: Tracked) -> None:
        seen = Seen(self.store, self.gpus, self.clock(), self.wall())
        now, wall = seen.now, seen.wall
        world = look(tracked, seen)
        plan = decide(tracked.run, world)
        tracked.memory = decided(tracked, plan, now)
        tracked.clips_per_hour = plan.status.clips_per_hour
        tracked.held = collections.Counter()
        for held in plan.status.held:
            tracked.held[held.hold.reason] += sum(tracked.memory.blocks.size(index) for index in held.indexes)
        self._release(plan, tracked)
        if not self._applier.free(tracked):
            return
        wanted = changes(plan, tracked, seen, self.images, self.patience)
        new_status = None
        if may_write(tracked, now):
            status = run_status(tracked, world, plan, wall)
            new_status = status if write_due(tracked, status, now) else None
        expired = _expired(tracked, self.store.reports.of(tracked.key).values(), wall)
        if wanted or new_status is not None or expired:
            self._applier.apply(tracked, wanted, new_status, expired=expired)

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
                self._gatekeeper.release(tracked, pod, start.to)


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
    surplus = parallelism.surplus_since(plan, tracked, memory.job, now) if memory.job else None
    if surplus != memory.rendering.surplus_since:
        memory = replace(memory, rendering=replace(memory.rendering, surplus_since=surplus))
    return replace(memory, still_since=still_since(tracked, status, now))


def _expired(tracked: Tracked, reports: Iterable[JobView], wall: float) -> bool:
    """Return whether a finished run has been there for as long as it asked.

    Its report, whose Job goes with it, may take some time on top of that.
    """
    ttl, ended = tracked.run.spec.ttl_after_finished, tracked.status.get("completionTime")
    if ttl is None or ended is None or wall < unix_time(ended) + ttl:
        return False
    own = (each for each in reports if (each.owner, each.attempt) == (tracked.owner.uid, report.attempt(tracked.owner)))
    return any(each.ended for each in own) or wall >= unix_time(ended) + ttl + REPORT_SECONDS

"""The loop: it waits until something has happened, and ticks."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Gauge, Histogram

from clipfarm.cluster.acting.apply import Applier
from clipfarm.cluster.acting.invalid import Refusals
from clipfarm.cluster.acting.release import Gatekeeper
from clipfarm.cluster.api.client import Api
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.store import Store, Watcher, watchers
from clipfarm.cluster.observing.stuck import STUCK_SECONDS
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process import run_metrics
from clipfarm.cluster.process.encoders import Route
from clipfarm.cluster.process.lease import Lease
from clipfarm.cluster.process.poller import Poller
from clipfarm.cluster.process.roster import Roster
from clipfarm.cluster.process.slices import Slices, StoppedLeadingError
from clipfarm.cluster.process.tick import Ticker
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.vram.ledger import Ledger
from clipfarm.manifests.common import Images

TICK_SECONDS = 1.0
"""Seconds between two ticks of a run when nothing happens: a clip may start because time has passed."""
GATHER_SECONDS = 0.01
"""How long a wake-up waits for others: events come in swarms."""
REST = 7.0
"""How long it waits at least, in units of the processor time of the last tick: with thousands of pods a tick at each
event would keep a core busy, and looking is to take no more than an eighth of one."""
LONGEST_REST_SECONDS = 0.25
"""For each run that the last tick looked at, up to ``TICK_SECONDS``: one run alone does not wait as long as many."""
TICKS = Histogram("clipfarm_tick_seconds", "One look, decision and action for all runs that were due")
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
    processor_clock: Callable[[], float] = time.thread_time
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
    _term: int = 0
    """How often it began to act, or ended it."""
    _rest: float = 0.0
    """Seconds to wait after the last tick."""

    def __post_init__(self) -> None:
        self.last_tick = self.clock()
        self._applier = Applier(self.api, self.clock, self.wall)
        self._gatekeeper = Gatekeeper(self.api, self.clock, self.wall)
        self._ticker = Ticker(
            self.store,
            self.gpus,
            self.runs,
            Roster(self.store, self.runs, Refusals(self.api, self.clock, self.wall), self.max_default_workers),
            self._applier,
            self._gatekeeper,
            self.images,
            self.patience,
            self.clock,
            self.wall,
        )

    def mark(self, key: RunKey | None) -> None:
        """Mark a run as due; None: all runs."""
        if key is None:
            self._all_due = True
        else:
            self._due.add(key)
        self._wake.set()

    def ledger(self) -> Ledger:
        """Return the claims of all runs, as the last tick left them."""
        return self._ticker.ledger

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
                        await self._tick()
                    else:
                        self.last_tick = self.clock()
            finally:
                await self._applier.close()
                await self._gatekeeper.close()

    def _lead(self) -> None:
        self.leads = True
        self._term += 1
        LEADER.set(1)
        self.mark(None)

    def _stand_by(self) -> None:
        """Stop acting and forget what was remembered of runs: another operator changes them from now on."""
        self.leads = False
        self._term += 1
        LEADER.set(0)
        for tracked in self.runs.values():
            tracked.gone = True
        self.runs.clear()
        self._ticker.forget()
        self._applier.cancel()
        self._gatekeeper.cancel()
        run_metrics.clear()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._wake.wait()
            await asyncio.sleep(max(GATHER_SECONDS, self._rest))
        except TimeoutError:
            self._all_due = True
        self._wake.clear()

    async def _tick(self) -> None:
        due, term = self._due, self._term
        if self._all_due:
            due = {view.run for view in self.store.runs.all()} | self.runs.keys()
        self._due, self._all_due = set(), False
        slices = Slices(lambda: self._term == term, self.clock, self.processor_clock)
        self.store.may_change.clear()
        try:
            with TICKS.time():
                await self._ticker.tick(due, slices.pause)
        except StoppedLeadingError:
            return
        finally:
            self.store.may_change.set()
        self.last_tick = self.clock()
        self._rest = rest(slices.spent, len(due))


def rest(tick_seconds: float, runs: int) -> float:
    """Return how many seconds to wait after a tick that took so long and was due for so many runs."""
    return min(TICK_SECONDS, LONGEST_REST_SECONDS * max(1, runs), REST * tick_seconds)

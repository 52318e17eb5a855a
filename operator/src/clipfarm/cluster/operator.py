"""The loop: look, decide, do, for each run that something happened to."""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Gauge, Histogram
from pydantic import ValidationError

from clipfarm.cluster.api import Api
from clipfarm.cluster.apply import Applier
from clipfarm.cluster.conditions import run_status
from clipfarm.cluster.observe import observe
from clipfarm.cluster.store import Store, watchers
from clipfarm.cluster.tracked import Tracked
from clipfarm.cluster.views import RunKey
from clipfarm.decide.plan import decide
from clipfarm.manifests.common import Images, Owner
from clipfarm.run import Run
from clipfarm.run_file import error_lines
from clipfarm.world import GpuId, Reading

LOGGER = logging.getLogger(__name__)
TICK_SECONDS = 1.0
"""Between two looks at a run when nothing happens: time itself may let a clip start."""
GATHER_SECONDS = 0.01
"""How long a wake-up waits for others: events come in swarms."""

TICKS = Histogram("clipfarm_tick_seconds", "One look, decision and action for all runs that were due")
RUNS = Gauge("clipfarm_runs", "Runs by phase", ["phase"])
HELD = Gauge("clipfarm_clips_held", "Clips that could run and are held, by reason", ["reason"])


@dataclass
class Operator:
    """All runs of one cluster."""

    api: Api
    images: Images
    namespaces: tuple[str, ...] = ()
    """Namespaces to look at; all where there are none."""
    store: Store = field(default_factory=Store)
    runs: dict[RunKey, Tracked] = field(default_factory=dict)
    readings: dict[GpuId, Reading] = field(default_factory=dict)
    """The newest of each GPU, whatever its age."""
    last_tick: float = field(default_factory=time.monotonic)
    _due: set[RunKey] = field(default_factory=set)
    _all_due: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, manifest: dict[str, Any], *, deleted: bool) -> None:
        """Take in a run as an event shows it; nothing is done here."""
        metadata = manifest["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if deleted or "deletionTimestamp" in metadata:
            self.runs.pop(key, None)
            self.store.forget(key)
            return
        known = self.runs.get(key)
        if known is not None and (known.owner.uid, known.generation) == (metadata["uid"], metadata["generation"]):
            return
        try:
            run = Run.model_validate({name: manifest[name] for name in ("apiVersion", "kind", "metadata", "spec")})
        except ValidationError as error:
            # The API server checks the same rules; this is a run that was made before a rule.
            LOGGER.warning("run %s/%s: %s", *key, "; ".join(error_lines(error)))
            return
        owner = Owner(metadata["namespace"], metadata["uid"], metadata.get("labels", {}))
        tracked = Tracked(run, owner, metadata["generation"], manifest.get("status", {}))
        if known is not None and known.owner.uid == owner.uid:
            known.run, known.owner, known.generation = run, owner, tracked.generation
        else:
            self.runs[key] = tracked
        self.mark(key)

    def mark(self, key: RunKey | None) -> None:
        """Say that something happened to a run; None: perhaps to all."""
        if key is None:
            self._all_due = True
        else:
            self._due.add(key)
        self._wake.set()

    async def run(self) -> None:
        """Watch and act, until cancelled."""
        watching = watchers(self.store, self.namespaces, self.mark)
        applier = Applier(self.api, self.store, self.images, time.monotonic)
        async with asyncio.TaskGroup() as group:
            for watcher in watching:
                group.create_task(watcher.run(self.api))
            for watcher in watching:
                await watcher.synced.wait()
            try:
                while True:
                    await self._wait()
                    await self._tick(applier)
            finally:
                await applier.close()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            self._all_due = True
        self._wake.clear()

    @TICKS.time()
    async def _tick(self, applier: Applier) -> None:
        due = set(self.runs) if self._all_due else self._due & self.runs.keys()
        self._due, self._all_due = set(), False
        for key in sorted(due):
            tracked = self.runs.get(key)
            if tracked is not None:
                await self._look_decide_do(applier, key, tracked)
        self.last_tick = time.monotonic()
        self._count()

    async def _look_decide_do(self, applier: Applier, key: RunKey, tracked: Tracked) -> None:
        now, wall = time.monotonic(), time.time()
        world = observe(tracked, key, self.store, self.readings, now)
        plan = decide(tracked.run, world)
        await applier.apply(plan, tracked, key)
        status = run_status(tracked, plan, self.store.jobs.get(key), wall)
        await applier.write_status(tracked, key, status)

    def _count(self) -> None:
        RUNS.clear()
        for tracked in self.runs.values():
            RUNS.labels(tracked.status.get("phase", "Pending")).inc()

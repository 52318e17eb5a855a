"""What no watch brings, asked for now and then and never by a tick: encoders' progress, GPU memory, claims, trials.

And the sweep of pods that have ended, which is as independent of ticks.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Literal

import aiohttp

from clipfarm.cluster.acting.sweep import Sweeper
from clipfarm.cluster.api.client import Api, Manifest
from clipfarm.cluster.api.endings import clips_vram, gpu_reading, slow_there
from clipfarm.cluster.api.errors import FAULTS, ApiError
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.observing import refused
from clipfarm.cluster.observing.own import own_encoders
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process import encoders, pod_events
from clipfarm.cluster.process.supervised import supervised
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.cluster.vram.scrape import open_session
from clipfarm.manifests.common import Images
from clipfarm.world import Encoder, Running

LOGGER = logging.getLogger(__name__)
ENCODER_SECONDS = 2.0
CLAIM_SECONDS = 2.0
EVENT_SECONDS = 2.0
"""Seconds between two reads of Events of pods that start without a reason; one without any is read each time."""
TRIAL_SECONDS = 1.0
"""Between two looks for runs whose pods are missing; most have all of theirs, and are not asked about."""
MEMORY_SECONDS = 0.5
"""The latest pod of each GPU that is done is asked so often what it took: a pod's answer is 8 KB."""
MOST_SLOW_NODES = 100
AT_ONCE = 16
"""Pods of a run that are asked at a time."""
ROUNDING = 0.001
"""Seconds. A reading's age is a difference of two times, and rounding must not put it before the end of its clips."""
GPU_SECONDS = 5.0
"""Between two looks, where no run asks for more."""


class Poller:
    """Asks, and marks the runs for which an answer has changed something."""

    def __init__(
        self,
        api: Api,
        store: Store,
        runs: Mapping[RunKey, Tracked],
        gpus: Gpus,
        images: Images,
        mark: Callable[[RunKey | None], None],
        way: encoders.Route,
    ) -> None:
        self._api = api
        self._store = store
        self._runs = runs
        self._gpus = gpus
        self._images = images
        self._mark = mark
        self._way: Literal["direct", "proxy"] = way

    async def run(self) -> None:
        """Look, for ever."""
        async with (
            open_session(self._api.tls) as to_encoders,
            open_session() as to_sources,
            asyncio.TaskGroup() as group,
        ):
            asker = encoders.Asker(self._api, self._way, to_encoders)
            for name, work in {
                "encoders": lambda: self._encoders(asker),
                "claims": self._claims,
                "trials": self._trials,
                "pod events": self._pod_events,
                "clip memory": self._clip_memory,
                "pods that have ended": Sweeper(self._api, self._store, self._runs).run,
                "exporters": lambda: self._gpus.exporters.run(self._api),
                "GPU memory": lambda: self._gpu_memory(to_sources),
            }.items():
                group.create_task(supervised(name, work))

    async def _encoders(self, asker: encoders.Asker) -> None:
        while True:
            await asyncio.gather(*(self._follow(asker, key, tracked) for key, tracked in list(self._runs.items())))
            asker.forget(self._store.encoders.all())
            await asyncio.sleep(ENCODER_SECONDS)

    async def _follow(self, asker: encoders.Asker, key: RunKey, tracked: Tracked) -> None:
        pods = own_encoders(tracked.asked, self._store).values()
        due = pods or tracked.encoding.restarts or not tracked.encoding.looked
        if due and await encoders.look(asker, tracked, pods):
            self._mark(key)

    async def _clip_memory(self) -> None:
        """Ask pods that are done what they took, and measured: those that have ended well are not watched."""
        while True:
            await asyncio.sleep(MEMORY_SECONDS)
            for key, tracked in list(self._runs.items()):
                latest = _finished(tracked)
                await asyncio.gather(*(self._take_in_memory(key, tracked, pod) for pod in latest))

    async def _take_in_memory(self, key: RunKey, tracked: Tracked, pod: PodView) -> None:
        def take_in(found: Manifest | None) -> None:
            if found is None or found["metadata"]["uid"] != pod.uid:
                return
            tracked.clip_memory.add(pod.uid, clips_vram(found))
            take_in_slow(tracked.answers.slow, pod.node, slow_there(found))
            measured = gpu_reading(found)
            if measured is None:
                return
            told, before_its_end = measured
            as_of = measured_at(tracked, pod.uid, before_its_end)
            if as_of is not None:
                self._gpus.add_measured(key[0], pod.node, told, as_of, time.monotonic())
                for run in [run for run in self._runs if run[0] == key[0]]:
                    self._mark(run)

        await self._get(f"/api/v1/namespaces/{key[0]}/pods/{pod.name}", take_in)

    async def _pod_events(self) -> None:
        """Read what keeps pods from starting where their own status does not say it."""
        while True:
            await asyncio.sleep(EVENT_SECONDS)
            for key, tracked in list(self._runs.items()):
                pods: dict[str, Running | Encoder] = {
                    uid: pod for uid, (_, pod) in tracked.memory.rendering.at_work.items()
                }
                for uid in pod_events.asked({**pods, **tracked.memory.encoders}, time.monotonic()):
                    await self._look_up_events(key, tracked, uid)

    async def _look_up_events(self, key: RunKey, tracked: Tracked, uid: str) -> None:
        def take_in(found: Manifest | None) -> None:
            word = pod_events.newest(found["items"] or []) if found else None
            if word == tracked.answers.words.get(uid):
                return
            if word is None:
                del tracked.answers.words[uid]
            else:
                tracked.answers.words[uid] = word
            self._mark(key)

        await self._get(f"/api/v1/namespaces/{key[0]}/events?fieldSelector=involvedObject.uid%3D{uid}", take_in)

    async def _claims(self) -> None:
        while True:
            for key, tracked in list(self._runs.items()):
                if tracked.run.spec.storage is not None and tracked.answers.claim != "Bound":
                    await self._look_up_claim(key, tracked)
            await asyncio.sleep(CLAIM_SECONDS if self._runs else 0.1)

    async def _look_up_claim(self, key: RunKey, tracked: Tracked) -> None:
        def take_in(claim: Manifest | None) -> None:
            phase = "Missing" if claim is None else claim.get("status", {}).get("phase", "Pending")
            if phase != tracked.answers.claim:
                tracked.answers.claim = phase
                self._mark(key)

        await self._get(f"/api/v1/namespaces/{key[0]}/persistentvolumeclaims/{tracked.asked.names.claim}", take_in)

    async def _trials(self) -> None:
        while True:
            await asyncio.gather(*(self._try(key, tracked) for key, tracked in list(self._runs.items())))
            await asyncio.sleep(TRIAL_SECONDS)

    async def _try(self, key: RunKey, tracked: Tracked) -> None:
        answers = tracked.answers
        if refused.is_due(tracked, time.monotonic()):
            answers.tried_at, job = time.monotonic(), tracked.memory.rendering.job
            found = await refused.ask(self._api, tracked, self._images)
            if job != tracked.memory.rendering.job:
                return  # the next Job is asked about in its own time
            if found != answers.trial:
                answers.trial = found
                self._mark(key)

    async def _get(self, path: str, take_in: Callable[[Manifest | None], None]) -> None:
        """Hand on what is found at a path; where nothing can be said it is asked again, by a later look."""
        try:
            found = await self._api.get(path)
        except (ApiError, *FAULTS) as error:
            LOGGER.info("%s: %s", path, error or type(error).__name__)
        else:
            take_in(found)

    async def _gpu_memory(self, session: aiohttp.ClientSession) -> None:
        while True:
            nodes = {node.name for node in self._store.nodes.all()}
            if await self._gpus.look(session, time.monotonic(), time.time(), nodes):
                self._mark(None)
            wanted = [tracked.run.spec.vram.check_interval for tracked in self._runs.values()]
            await asyncio.sleep(max(0.5, min([GPU_SECONDS, *wanted])))


def _finished(tracked: Tracked) -> list[PodView]:
    """Return the latest pods that are done and were not asked yet; those before them are not asked any more."""
    asked = tracked.answers.asked
    new = [pod for pod in tracked.memory.rendering.finished.values() if pod.uid not in asked]
    asked.update(pod.uid for pod in new)
    return new[-AT_ONCE:]


def take_in_slow(known: dict[str, tuple[str, ...]], node: str, lines: tuple[str, ...]) -> None:
    """Note what a pod says of its node; nothing, if there is nothing any more."""
    if not lines:
        known.pop(node, None)
    elif node in known or len(known) < MOST_SLOW_NODES:
        known[node] = lines


def measured_at(tracked: Tracked, uid: str, before_its_end: float) -> float | None:
    """Return when a pod measured its GPU; and note for the next look that its clips had ended by then.

    A pod's end is seen up to two seconds late, because the kubelet looks each second, and then reports. This is so for
    all pods. An earlier time would lie before the end of the clips, and an exporter's reading that was collected in
    between, and shows them, would seem to show a neighbour's burst.

    Args:
        tracked: the pod's run.
        uid: of the pod.
        before_its_end: seconds, by its node's clock.
    """
    left = tracked.memory.rendering.departed.get(uid)
    if left is None:
        return None
    as_of = left.ended_at - before_its_end
    tracked.answers.ended_by[uid] = as_of - ROUNDING
    return as_of

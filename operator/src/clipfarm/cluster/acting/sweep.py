"""Deleting pods that have ended, once their results are kept: 100,000 clips are to leave no 100,000 pods.

Three steps, in this order: read the pods, write their results into an annotation of their Job
(:mod:`clipfarm.cluster.observing.results`), delete them. An operator that dies between two of them loses nothing, and
counts nothing twice: the next one reads again what was not written, and deletes what was.

A pod is deleted only when its index is in the Job's own ``completedIndexes`` or ``failedIndexes``: the Job controller
has counted it then, and makes no other one. One request deletes many. It names their indexes, so it takes no pod that
has ended since they were read: an index has one pod that succeeds.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from clipfarm.cluster.api.client import MERGE_PATCH, Api, Manifest
from clipfarm.cluster.api.endings import clips_vram
from clipfarm.cluster.api.errors import FAULTS, NOT_FOUND, ApiError
from clipfarm.cluster.api.owners import COUNT, INDEX_ANNOTATION, RunKey, controller
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.times import unix_time
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing import results
from clipfarm.cluster.observing.own import own_job
from clipfarm.cluster.observing.results import Results
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.manifests.job import CONTROLLER_LABEL
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import RESULTS_ANNOTATION

LOGGER = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
"""Seconds between two sweeps of a run; most find nothing to do."""
SWEEP_SECONDS = 60.0
SWEEP_PODS = 1000
"""While a run goes on, its pods are deleted once a minute, or when so many have succeeded: deleting takes time of the
API server's that starting clips wants, too. When all have ended, the last ones go at once."""
AGAIN_SECONDS = 5.0
"""Between two sweeps of a run, at the least."""
AT_ONCE = 100
"""Pods that one request deletes. The API server deletes them one after the other, and a busy one needs seconds: what
is not done when the request times out is left to a later one."""
KEPT_FAILED = 100
"""Failed pods of a run that stay, with their logs: those that failed last."""
ENDED_SECONDS = 3600.0
"""A run that ended longer ago keeps the pods it has: they are of an operator that deleted none."""
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
TRACKED = "batch.kubernetes.io/job-tracking"
"""The finalizer of a pod that the Job controller has not counted yet."""


class Sweeper:
    """Deletes pods that have ended."""

    def __init__(
        self,
        api: Api,
        store: Store,
        runs: Mapping[RunKey, Tracked],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._store = store
        self._runs = runs
        self._clock = clock
        self._wall = wall

    async def run(self) -> None:
        """Sweep whenever that is due, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for key, tracked in list(self._runs.items()):
                await self.sweep(key, tracked)

    async def sweep(self, key: RunKey, tracked: Tracked) -> None:
        """Delete the pods of one run that are to go now; a fault of the moment is left to a later look."""
        job = own_job(tracked.asked, self._store)
        if job is None or job.uid != tracked.memory.rendering.job or not self._is_due(tracked, job):
            return
        tracked.sweeping.swept_at = self._clock()
        try:
            await self._succeeded(key, tracked, job)
            await self._failed(key, tracked, job)
        except (ApiError, *FAULTS) as error:
            LOGGER.info("%s/%s: pods that have ended stay for now: %s", *key, str(error) or type(error).__name__)

    def _is_due(self, tracked: Tracked, job: JobView) -> bool:
        sweeping, ended = tracked.sweeping, tracked.status.get("completionTime")
        if tracked.run.spec.render.keep_pods == "all":
            return False
        if ended is not None and self._wall() >= unix_time(ended) + ENDED_SECONDS:
            return False
        new = len(job.completed) - (sweeping.swept or 0)
        if sweeping.swept is not None and not new and not self._surplus(job.run, job):
            return False
        over = len(job.completed) + len(job.failed) >= tracked.memory.blocks.count
        pause = AGAIN_SECONDS if over or new >= SWEEP_PODS else SWEEP_SECONDS
        return self._clock() >= sweeping.swept_at + pause

    async def _succeeded(self, key: RunKey, tracked: Tracked, job: JobView) -> None:
        sweeping, counted = tracked.sweeping, len(job.completed)
        reports = tracked.run.spec.render.device != "cpu"
        if reports and sweeping.owed:
            # Before anything else is written in their place.
            listed = (await self._kept(key, tracked, job)).deleting
            if listed:
                await self._delete(key, job, listed, "Succeeded")
            sweeping.owed = False
        while _is_current(tracked, job):
            found = await self._api.some(
                _pods(key),
                AT_ONCE,
                metadata_only=not reports,
                labelSelector=f"{CONTROLLER_LABEL}={job.uid}",
                fieldSelector="status.phase=Succeeded",
            )
            ready = {index: pod for pod in found if (index := _counted(pod, job)) is not None}
            if ready:
                if reports:
                    await self._keep(key, tracked, job, ready)
                await self._delete(key, job, ready, "Succeeded")
                sweeping.owed = False
            if not ready and found:
                return  # the Job controller has not counted them yet
            if len(found) < AT_ONCE:
                sweeping.swept = counted if len(ready) == len(found) else sweeping.swept
                return

    async def _keep(self, key: RunKey, tracked: Tracked, job: JobView, pods: Mapping[int, Manifest]) -> None:
        """Add what pods report and write it down; what an earlier process wrote down is not added again."""
        kept = await self._kept(key, tracked, job)
        told = {pod["metadata"]["uid"]: clips_vram(pod) for index, pod in pods.items() if index not in kept.deleting}
        for uid, clips in told.items():
            tracked.clip_memory.add(uid, clips)
            tracked.kept_memory.add(uid, clips)
        if any(told.values()):
            tracked.sweeping.owed = True
            await self._write(key, tracked, job, Results(tracked.kept_memory.summary(), Indexes.of(pods), kept.failed))

    async def _failed(self, key: RunKey, tracked: Tracked, job: JobView) -> None:
        """Delete those that failed first, of more than are to stay."""
        final, going = tracked.memory.rendering.final, self._surplus(key, job)
        if not going:
            return
        kept = await self._kept(key, tracked, job)
        for_good = {index for index in going if index in job.failed}
        if not for_good <= final.keys():
            return  # the next look at the run takes them in
        written = {index for each in kept.failed for index in each.indexes}
        if not for_good <= written:
            told = {index: pod for index, pod in final.items() if index in written or index in for_good}
            made = Results(kept.memory, kept.deleting, results.grouped(told, tracked.memory.blocks))
            if len(made.text().encode()) > results.MOST_TEXT:
                LOGGER.info("%s/%s: how clips failed takes too much room to be kept; their pods stay", *key)
                return
            await self._write(key, tracked, job, made)
        ordered = sorted(going)
        for first in range(0, len(ordered), AT_ONCE):
            if not _is_current(tracked, job):
                return
            await self._delete(key, job, ordered[first : first + AT_ONCE], "Failed")

    def _surplus(self, key: RunKey, job: JobView) -> set[int]:
        """Return indexes whose failed pods are to go: those that failed first, of indexes that are done with."""
        failed = [pod for pod in self._store.failed.of(key).values() if pod.owner == job.uid]
        if len(failed) <= KEPT_FAILED:
            return set()
        ended = sorted(
            (pod.ended, pod.index) for pod in failed if pod.index in job.failed or pod.index in job.completed
        )
        return {index for _, index in ended[: len(failed) - KEPT_FAILED]}

    async def _kept(self, key: RunKey, tracked: Tracked, job: JobView) -> Results:
        """Return what is stored; each process reads it again, because a watch may not have delivered it yet."""
        sweeping = tracked.sweeping
        if sweeping.kept is None:
            found = await self._api.get(_job(key, job))
            if found is None or found["metadata"]["uid"] != job.uid:
                raise ApiError(NOT_FOUND, f"the Job {job.name} is gone")
            sweeping.kept = results.read(found["metadata"].get("annotations", {}).get(RESULTS_ANNOTATION, ""))
            if sweeping.kept.memory is not None:
                tracked.restore(sweeping.kept.memory)
        return sweeping.kept

    async def _write(self, key: RunKey, tracked: Tracked, job: JobView, made: Results) -> None:
        metadata = {"uid": job.uid, "annotations": {RESULTS_ANNOTATION: made.text()}}
        await self._api.patch(_job(key, job), {"metadata": metadata}, MERGE_PATCH)
        tracked.sweeping.kept = made

    async def _delete(self, key: RunKey, job: JobView, indexes: Iterable[int], phase: str) -> None:
        named = ",".join(map(str, sorted(indexes)))
        await self._api.delete_all(
            _pods(key),
            labelSelector=f"{CONTROLLER_LABEL}={job.uid},{INDEX_LABEL} in ({named})",
            fieldSelector=f"status.phase={phase}",
        )


def _is_current(tracked: Tracked, job: JobView) -> bool:
    return not tracked.gone and tracked.memory.rendering.job == job.uid


def _counted(pod: Manifest, job: JobView) -> int | None:
    """Return the index of a pod that the Job controller has counted; None for others, and those on their way out."""
    metadata = pod["metadata"]
    text = metadata.get("annotations", {}).get(INDEX_ANNOTATION, "")
    # Labels and annotations are anybody's to write.
    if controller(pod) != job.uid or not COUNT.fullmatch(text) or int(text) not in job.completed:
        return None
    leaving = "deletionTimestamp" in metadata or TRACKED in metadata.get("finalizers", ())
    return None if leaving else int(text)


def _pods(key: RunKey) -> str:
    return f"/api/v1/namespaces/{key[0]}/pods"


def _job(key: RunKey, job: JobView) -> str:
    return f"/apis/batch/v1/namespaces/{key[0]}/jobs/{job.name}"

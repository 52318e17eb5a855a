"""Doing what a plan says: the only code that writes to the API server."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from prometheus_client import Counter, Histogram

from clipfarm.cluster import views
from clipfarm.cluster.api import JSON_PATCH, MERGE_PATCH, Api, ApiError, Manifest
from clipfarm.cluster.store import Store
from clipfarm.cluster.tracked import Tracked
from clipfarm.cluster.views import PodView, RunKey
from clipfarm.decide.plan import Plan
from clipfarm.manifests import encoder, job, storage
from clipfarm.manifests.common import GPU_ANNOTATION, Images
from clipfarm.run import API_VERSION
from clipfarm.world import GpuId

LOGGER = logging.getLogger(__name__)
AT_ONCE = 16
"""Patches of pods under way at a time: more of them only wait inside the API server."""
STATUS_SECONDS = 1.0
"""Between two writes of a run's status."""
GONE, CONFLICT, NOT_AS_EXPECTED = 404, 409, 422

RELEASED = Counter("clipfarm_pods_released_total", "Pods whose gate was taken off")
RELEASE_SECONDS = Histogram(
    "clipfarm_release_seconds",
    "From the decision that a pod may start until the API server has taken its gate off",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class Applier:
    """Carries plans out. What fails is tried again by the next tick, which sees that it is still undone."""

    def __init__(self, api: Api, store: Store, images: Images, clock: Callable[[], float]) -> None:
        self._api = api
        self._store = store
        self._images = images
        self._clock = clock
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def apply(self, plan: Plan, tracked: Tracked, key: RunKey) -> None:
        """Carry a plan out: the run's objects now, its pods' gates in the background."""
        tracked.gates = plan.gates
        await self._ensure_claim(tracked)
        await self._ensure_job(plan, tracked, key)
        await self._ensure_encoder(plan, tracked, key)
        pods = {pod.index: pod for pod in self._store.pods.get(key, {}).values() if pod.gated}
        for start in plan.start:
            pod = pods.get(start.clip)
            if pod is not None and pod.uid not in tracked.released:
                tracked.released[pod.uid] = self._clock()
                self._in_background(self._release(tracked, pod, start.gpu))

    async def write_status(self, tracked: Tracked, key: RunKey, status: Manifest) -> None:
        """Write a run's status if it changed, and not too often."""
        now = self._clock()
        if status == tracked.status or now < tracked.status_written_at + STATUS_SECONDS:
            return
        # A field that is no longer there has to be named to be removed.
        gone = dict.fromkeys(tracked.status.keys() - status.keys())
        path = f"/apis/{API_VERSION}/namespaces/{key[0]}/benchmarkruns/{key[1]}/status"
        if await self._try(
            lambda: self._api.patch(path, {"status": status | gone}, MERGE_PATCH), f"status of {key[1]}"
        ):
            tracked.status = status
        tracked.status_written_at = now

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ensure_claim(self, tracked: Tracked) -> None:
        claim = storage.claim(tracked.run, tracked.owner)
        if claim is not None and tracked.rendered <= 0:
            await self._create(f"/api/v1/namespaces/{tracked.owner.namespace}/persistentvolumeclaims", claim, tracked)

    async def _ensure_job(self, plan: Plan, tracked: Tracked, key: RunKey) -> None:
        jobs = f"/apis/batch/v1/namespaces/{key[0]}/jobs"
        there = self._store.jobs.get(key)
        wanted = parallelism(plan, tracked)
        if there is None:
            if tracked.run.spec.storage is not None and not plan.status.finished:
                await self._create(jobs, job.job(tracked.run, tracked.owner, self._images, wanted), tracked)
        elif there.parallelism != wanted and not there.deleting and not plan.no_more_clips:
            change = {"spec": {"parallelism": wanted}}
            await self._try(
                lambda: self._api.patch(f"{jobs}/{job.name(tracked.run)}", change, MERGE_PATCH), f"job of {key[1]}"
            )

    async def _ensure_encoder(self, plan: Plan, tracked: Tracked, key: RunKey) -> None:
        deployments = f"/apis/apps/v1/namespaces/{key[0]}/deployments"
        there = self._store.deployments.get(key)
        if there is None:
            if plan.encoders:
                made = encoder.deployment(tracked.run, tracked.owner, self._images, plan.encoders)
                await self._create(deployments, made, tracked)
        elif there.replicas != plan.encoders:
            change = {"spec": {"replicas": plan.encoders}}
            name = encoder.name(tracked.run)
            await self._try(
                lambda: self._api.patch(f"{deployments}/{name}", change, MERGE_PATCH), f"encoder of {key[1]}"
            )

    async def _release(self, tracked: Tracked, pod: PodView, gpu: GpuId | None) -> None:
        begun = self._clock()
        path = f"/api/v1/namespaces/{pod.run[0]}/pods/{pod.name}"
        async with self._limit:
            done = await self._try(lambda: self._api.patch(path, release_patch(pod, gpu), JSON_PATCH), pod.name)
        if done:
            RELEASED.inc()
            RELEASE_SECONDS.observe(self._clock() - begun)
        else:
            tracked.released.pop(pod.uid, None)

    async def _create(self, path: str, body: Manifest, tracked: Tracked) -> None:
        """Create an object; that it is there already, or that its namespace is going, is no problem."""
        try:
            await self._api.create(path, body)
        except ApiError as error:
            if error.code not in (CONFLICT, GONE) and not (error.code == 403 and "being terminated" in error.message):
                tracked.problem = f"cannot make the {body['kind']} {body['metadata']['name']}: {error.message}"
                LOGGER.warning("%s", tracked.problem)
                return
        except (aiohttp.ClientError, TimeoutError) as error:
            LOGGER.warning("%s %s: %s", body["kind"], body["metadata"]["name"], error or type(error).__name__)
            return
        tracked.problem = ""

    async def _try(self, call: Callable[[], Awaitable[None]], what: str) -> bool:
        """Make a change; one that comes too late, or a fault of the moment, is left to the next tick."""
        try:
            await call()
        except ApiError as error:
            if error.code not in (GONE, CONFLICT, NOT_AS_EXPECTED):
                LOGGER.warning("%s: %s", what, error)
            return False
        except (aiohttp.ClientError, TimeoutError) as error:
            LOGGER.warning("%s: %s", what, error or type(error).__name__)
            return False
        return True

    def _in_background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def parallelism(plan: Plan, tracked: Tracked) -> int:
    """Return how many pods the Job should have, gated ones included.

    As many as run or may run, those that wait for another try, and as many again at their gates, so that a worker
    that gets free finds its next pod there. Never fewer than run: the Job controller would end some.
    """
    status = plan.status
    at_work = max(status.workers, status.running)
    return min(tracked.blocks.count, at_work + status.retrying + max(2, status.workers))


def release_patch(pod: PodView, gpu: GpuId | None) -> list[Manifest]:
    """Return the patch that takes a pod's gate off, and binds it to its GPU's node where it has one.

    It holds for this very pod alone: another of the same name would have another UID.
    """
    patch: list[Manifest] = [
        {"op": "test", "path": "/metadata/uid", "value": pod.uid},
        {"op": "remove", "path": "/spec/schedulingGates"},
    ]
    if gpu is not None:
        annotation = GPU_ANNOTATION.replace("~", "~0").replace("/", "~1")
        patch += [
            {"op": "add", "path": f"/metadata/annotations/{annotation}", "value": views.gpu_annotation(gpu)},
            {"op": "add", "path": "/spec/affinity", "value": _only_on(gpu.node)},
        ]
    return patch


def _only_on(node: str) -> Manifest:
    """Return the affinity that narrows a pod to one node; of a gated pod it may be made narrower."""
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    terms = {"nodeSelectorTerms": [{"matchFields": fields}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}

"""What the API server last reported: filled by watches, read by every tick, never asked for again."""

import asyncio
import logging
from collections.abc import Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from prometheus_client import Counter

from clipfarm.cluster.api import pod_views, views
from clipfarm.cluster.api.backoff import pause
from clipfarm.cluster.api.cache import Cache
from clipfarm.cluster.api.client import Api, Manifest
from clipfarm.cluster.api.endings import FailedPod, failed_pod
from clipfarm.cluster.api.errors import FAULTS, ApiError, WatchExpiredError
from clipfarm.cluster.api.export_pods import ExportPod, export_pod
from clipfarm.cluster.api.nodes import NodeView, node
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.pod_views import EncoderPod, PodView
from clipfarm.cluster.api.requests import Counted, Requested, Sums, requested
from clipfarm.cluster.api.views import DeploymentView, JobView, ReplicaSetView, RunView
from clipfarm.manifests import encoder, export, job, report
from clipfarm.run import API_VERSION
from clipfarm.vram.dcgm import one_line
from clipfarm_contract.objects import MANAGED_BY, ROLE_LABEL

LOGGER = logging.getLogger(__name__)
LONGEST_PAUSE = 5.0
"""Seconds between two attempts to follow."""
UNREADABLE = Counter("clipfarm_unreadable_objects_total", "Objects that could not be read and are left out", ["kind"])
V = TypeVar("V")


def _run(view: Any) -> Hashable:
    key: RunKey = view.run
    return key


def _set() -> asyncio.Event:
    made = asyncio.Event()
    made.set()
    return made


@dataclass
class Store:
    """All objects that the operator watches."""

    runs: Cache[RunView] = field(default_factory=lambda: Cache(_run))
    requests: Sums = field(default_factory=Sums)
    """What the pods of each node request: renderers, encoders and, if the operator may read them, all others."""
    sees_all_pods: bool = False
    """Whether the pods of all namespaces are among them."""
    pods: Counted[PodView] = field(init=False)
    """Renderers that have not ended."""
    failed: Cache[FailedPod] = field(default_factory=lambda: Cache(_run))
    jobs: Cache[JobView] = field(default_factory=lambda: Cache(_run))
    reports: Cache[JobView] = field(default_factory=lambda: Cache(_run))
    """Jobs that write reports."""
    exports: Cache[JobView] = field(default_factory=lambda: Cache(_run))
    """Jobs that export runs."""
    export_pods: Cache[ExportPod] = field(default_factory=lambda: Cache(_run))
    deployments: Cache[DeploymentView] = field(default_factory=lambda: Cache(_run))
    replica_sets: Cache[ReplicaSetView] = field(default_factory=lambda: Cache(_run))
    encoders: Counted[EncoderPod] = field(init=False)
    other_pods: Counted[Requested] = field(init=False)
    """Pods that are neither and have a node."""
    nodes: Cache[NodeView] = field(default_factory=lambda: Cache(lambda _: None))
    may_change: asyncio.Event = field(default_factory=_set)
    """Set except during a tick, which looks at runs and acts on them, and lets the event loop go on in between: what it
    acts on has to be what it looked at."""

    def __post_init__(self) -> None:
        self.pods = Counted(_run, self.requests, pod_views.requested_by_renderer)
        self.encoders = Counted(_run, self.requests, pod_views.requested_by_encoder)
        self.other_pods = Counted(lambda _: None, self.requests, lambda pod: pod)


@dataclass
class Watcher(Generic[V]):
    """Keeps a cache up to date with one list of the API server's."""

    path: str
    view: Callable[[Manifest], V | None]
    cache: Cache[V]
    changed: Callable[[V | None], None]
    """Called after each change with the new or last view; None when everything may have changed."""
    parameters: dict[str, str] = field(default_factory=dict)
    longest_pause: float = LONGEST_PAUSE
    may_change: asyncio.Event = field(default_factory=_set)
    """Cleared while the cache has to stay as it is."""
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first list has been read."""
    failure: str = ""
    """Why it does not follow just now."""
    _known: set[str] = field(default_factory=set)
    _unreadable: set[str] = field(default_factory=set)
    """Objects, by UID, that were left out, of those that are there."""

    async def run(self, api: Api) -> None:
        """List, then follow; for ever. A fault of the moment is logged and tried again."""
        failures = 0
        while True:
            try:
                await self._list_and_watch(api)
            except WatchExpiredError:
                continue
            except (ApiError, *FAULTS) as error:
                failures = failures + 1 if self.failure else 1
                if not self.failure:  # said once: the API server may be away for minutes
                    LOGGER.warning("watch of %s: %s; tries again", self.path, error or type(error).__name__)
                self.failure = str(error) or type(error).__name__
                asked = error.retry_after if isinstance(error, ApiError) else None
                # An API server that comes back is followed again soon: nothing is decided well without it.
                await asyncio.sleep(pause(failures, asked, longest=self.longest_pause))

    async def _list_and_watch(self, api: Api) -> None:
        gone, version = set(self._known), ""
        async for items, listed in api.pages(self.path, **self.parameters):
            version = listed
            await self.may_change.wait()
            for item in items:
                self._take(item)
                gone.discard(item["metadata"]["uid"])
        await self.may_change.wait()
        for uid in gone:
            self._drop(uid)
        self.synced.set()
        if self.failure:
            LOGGER.info("watch of %s: goes on", self.path)
            self.failure = ""
        self.changed(None)
        while True:
            async with aclosing(api.watch(self.path, version, **self.parameters)) as events:
                async for kind, item in events:
                    await self.may_change.wait()
                    version = item["metadata"]["resourceVersion"]
                    if kind == "DELETED":
                        self._unreadable.discard(item["metadata"]["uid"])
                        self._drop(item["metadata"]["uid"])
                    elif kind != "BOOKMARK":
                        self._take(item)

    def _take(self, item: Manifest) -> None:
        uid = item["metadata"]["uid"]
        view = self._read(item, uid)
        if view is None:
            self._drop(uid)
            return
        self._known.add(uid)
        if self.cache.put(uid, view):
            self.changed(view)

    def _read(self, item: Manifest, uid: str) -> V | None:
        """Return the view of an object; None if there is none, or if it cannot be read.

        Others write these objects: whatever stands in one, it must not keep the operator from all others.
        """
        try:
            view = self.view(item)
        except Exception as error:  # noqa: BLE001 - a view reads what anybody wrote
            if uid not in self._unreadable:
                self._unreadable.add(uid)
                UNREADABLE.labels(self.path.rpartition("/")[2]).inc()
                metadata = item["metadata"]
                name = f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]
                LOGGER.warning(
                    "%s %s (UID %s) cannot be read and is left out: %s: %s",
                    self.path.rpartition("/")[2], name, uid, type(error).__name__, one_line(str(error)),
                )  # fmt: skip
            return None
        self._unreadable.discard(uid)
        return view

    def _drop(self, uid: str) -> None:
        self._known.discard(uid)
        view = self.cache.drop(uid)
        if view is not None:
            self.changed(view)


def watchers(store: Store, namespaces: tuple[str, ...], mark: Callable[[RunKey | None], None]) -> list[Watcher[Any]]:
    """Return the watches that fill a store; ``mark`` is called with each run that something happened to."""

    def of_run(view: Any) -> None:
        mark(view.run if view is not None else None)

    def labelled(role: str = "", phase: str = "") -> dict[str, str]:
        labels = f"{MANAGED_BY}=clipfarm" + (f",{ROLE_LABEL}={role}" if role else "")
        return {"labelSelector": labels} | ({"fieldSelector": phase} if phase else {})

    live, failed = "status.phase!=Succeeded,status.phase!=Failed", "status.phase=Failed"
    made: list[Watcher[Any]] = [Watcher("/api/v1/nodes", node, store.nodes, lambda _: mark(None))]
    if not namespaces:
        # No run is due for them: those that wait for a node are looked at on each tick.
        others = {"labelSelector": f"{ROLE_LABEL} notin ({job.ROLE},{encoder.ROLE})"}
        others["fieldSelector"] = f"spec.nodeName!=,{live}"
        made.append(Watcher("/api/v1/pods", requested, store.other_pods, lambda _: None, others))
        store.sees_all_pods = True
    for inside in [f"/namespaces/{namespace}" for namespace in namespaces] or [""]:
        pods = f"/api/v1{inside}/pods"
        made += [
            Watcher(f"/apis/{API_VERSION}{inside}/benchmarkruns", views.run, store.runs, of_run),
            Watcher(pods, pod_views.pod, store.pods, of_run, labelled(job.ROLE, live)),
            Watcher(pods, failed_pod, store.failed, of_run, labelled(job.ROLE, failed)),
            Watcher(pods, pod_views.encoder_pod, store.encoders, of_run, labelled(encoder.ROLE)),
            Watcher(f"/apis/batch/v1{inside}/jobs", views.job, store.jobs, of_run, labelled(job.ROLE)),
            Watcher(f"/apis/batch/v1{inside}/jobs", views.job, store.reports, of_run, labelled(report.ROLE)),
            Watcher(f"/apis/batch/v1{inside}/jobs", views.job, store.exports, of_run, labelled(export.ROLE)),
            Watcher(pods, export_pod, store.export_pods, of_run, labelled(export.ROLE)),
            Watcher(f"/apis/apps/v1{inside}/deployments", views.deployment, store.deployments, of_run, labelled()),
            Watcher(
                f"/apis/apps/v1{inside}/replicasets",
                views.replica_set,
                store.replica_sets,
                of_run,
                labelled(encoder.ROLE),
            ),
        ]
    for each in made:
        each.may_change = store.may_change
    return made

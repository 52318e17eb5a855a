"""What the API server last told: filled by watches, read by every tick, never asked for again."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import aiohttp

from clipfarm.cluster import views
from clipfarm.cluster.api import Api, ApiError, Manifest, WatchExpiredError
from clipfarm.cluster.views import DeploymentView, FailedPod, JobView, NodeView, PodView, RunKey
from clipfarm.manifests.common import MANAGED_BY, ROLE_LABEL

LOGGER = logging.getLogger(__name__)
RETRY_SECONDS = 1.0
RENDERERS = f"{MANAGED_BY}=clipfarm,{ROLE_LABEL}=render"
V = TypeVar("V")


@dataclass
class Store:
    """Views of all that belongs to runs, by run."""

    pods: dict[RunKey, dict[str, PodView]] = field(default_factory=lambda: defaultdict(dict))
    """By UID; pods that have ended are not in it."""
    failed: dict[RunKey, dict[str, FailedPod]] = field(default_factory=lambda: defaultdict(dict))
    """By UID."""
    jobs: dict[RunKey, JobView] = field(default_factory=dict)
    deployments: dict[RunKey, DeploymentView] = field(default_factory=dict)
    nodes: dict[str, NodeView] = field(default_factory=dict)

    def forget(self, run: RunKey) -> None:
        """Drop all of a run that is gone."""
        for part in (self.pods, self.failed, self.jobs, self.deployments):
            part.pop(run, None)


@dataclass
class Watcher(Generic[V]):
    """Keeps views of one kind of object up to date."""

    path: str
    view: Callable[[Manifest], V | None]
    put: Callable[[V], Hashable]
    """Store a view; returns its key."""
    remove: Callable[[Hashable], None]
    changed: Callable[[V | None], None]
    """Called after each change with the new or last view; None when everything may have changed."""
    parameters: dict[str, str] = field(default_factory=dict)
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first list has been read."""
    _known: dict[str, tuple[Hashable, V]] = field(default_factory=dict)

    async def run(self, api: Api) -> None:
        """List, then follow; for ever. A fault of the moment is logged and tried again."""
        while True:
            try:
                await self._list_and_watch(api)
            except WatchExpiredError:
                continue
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                LOGGER.warning(
                    "watch of %s: %s; again in %g s", self.path, error or type(error).__name__, RETRY_SECONDS
                )
                await asyncio.sleep(RETRY_SECONDS)

    async def _list_and_watch(self, api: Api) -> None:
        items, version = await api.list(self.path, **self.parameters)
        seen = set()
        for item in items:
            seen.add(item["metadata"]["uid"])
            self._take(item)
        for uid in self._known.keys() - seen:
            self._drop(uid)
        self.synced.set()
        self.changed(None)
        while True:
            async with aclosing(api.watch(self.path, version, **self.parameters)) as events:
                async for kind, item in events:
                    version = item["metadata"]["resourceVersion"]
                    if kind == "BOOKMARK":
                        continue
                    if kind == "DELETED":
                        self.changed(self._drop(item["metadata"]["uid"]))
                    else:
                        self.changed(self._take(item))

    def _take(self, item: Manifest) -> V | None:
        view = self.view(item)
        if view is not None:
            self._known[item["metadata"]["uid"]] = (self.put(view), view)
        return view

    def _drop(self, uid: str) -> V | None:
        key, view = self._known.pop(uid, (None, None))
        if key is not None:
            self.remove(key)
        return view


def watchers(store: Store, namespaces: tuple[str, ...], mark: Callable[[RunKey | None], None]) -> list[Watcher[Any]]:
    """Return the watches that fill a store; ``mark`` is called with each run that something happened to."""

    def of_run(view: Any) -> None:
        mark(view.run if view is not None else None)

    def by_uid(part: dict[RunKey, dict[str, Any]]) -> tuple[Callable[[Any], Hashable], Callable[[Any], None]]:
        def put(view: Any) -> Hashable:
            part[view.run][view.uid] = view
            return (view.run, view.uid)

        def remove(key: Any) -> None:
            part[key[0]].pop(key[1], None)

        return put, remove

    def by_run(part: dict[RunKey, Any]) -> tuple[Callable[[Any], Hashable], Callable[[Any], None]]:
        def put(view: Any) -> Hashable:
            part[view.run] = view
            key: RunKey = view.run
            return key

        def remove(key: Any) -> None:
            part.pop(key, None)

        return put, remove

    def put_node(view: NodeView) -> Hashable:
        store.nodes[view.name] = view
        return view.name

    def remove_node(key: Hashable) -> None:
        store.nodes.pop(str(key), None)

    mine = {"labelSelector": f"{MANAGED_BY}=clipfarm"}
    live = {"labelSelector": RENDERERS, "fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
    failed = {"labelSelector": RENDERERS, "fieldSelector": "status.phase=Failed"}
    made: list[Watcher[Any]] = [
        Watcher("/api/v1/nodes", views.node, put_node, remove_node, lambda _: mark(None)),
    ]
    for prefix in [f"/namespaces/{namespace}" for namespace in namespaces] or [""]:
        made += [
            Watcher(f"/api/v1{prefix}/pods", views.pod, *by_uid(store.pods), of_run, live),
            Watcher(f"/api/v1{prefix}/pods", views.failed_pod, *by_uid(store.failed), of_run, failed),
            Watcher(f"/apis/batch/v1{prefix}/jobs", views.job, *by_run(store.jobs), of_run, mine),
            Watcher(f"/apis/apps/v1{prefix}/deployments", views.deployment, *by_run(store.deployments), of_run, mine),
        ]
    return made

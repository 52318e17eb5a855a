"""Taking gates off: the one moment at which clipfarm lets a pod start."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from prometheus_client import Counter, Histogram

from clipfarm.cluster.acting.background import Background
from clipfarm.cluster.api.backoff import pause
from clipfarm.cluster.api.client import JSON_PATCH, Api, Manifest, pointer
from clipfarm.cluster.api.errors import FAULTS, NOT_AS_EXPECTED, NOT_FOUND, ApiError
from clipfarm.cluster.api.pod_views import PodView, gate_of
from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.observing.refused import advice
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import Refusal, Releases
from clipfarm.decide.admission import Elsewhere, To
from clipfarm.world import GpuId, Label, NodeKind
from clipfarm_contract.objects import GATE, Gpu, Placement

LOGGER = logging.getLogger(__name__)
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ANY = NodeKind()
AT_ONCE = 16
"""Patches under way at a time: more of them only wait inside the API server."""

RELEASED = Counter("clipfarm_pods_released_total", "Pods whose gate was taken off")
SECONDS = Histogram(
    "clipfarm_release_seconds",
    "From the decision that a pod may start until the API server has taken its gate off",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2.5, 5, 10),
)


class Gatekeeper(Background):
    """Takes gates off in the background.

    A pod whose gate was asked to be taken off counts as one that runs, until a watch shows it or the API server has
    said for certain that it did not happen. A request whose answer was lost may have been carried out.
    """

    def __init__(self, api: Api, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        super().__init__()
        self._api = api
        self._clock = clock
        self._wall = wall
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._took: list[float] = []

    def answered(self) -> Sequence[float]:
        """Return how long it took until gates were off, seconds, of those that came off since this was last asked."""
        took, self._took = self._took, []
        return took

    def release(self, tracked: Tracked, pod: PodView, to: To) -> None:
        """Begin to release a pod, and send it to the place in the plan."""
        tracked.releases.released[pod.uid] = to
        self._start(self._release(tracked, pod, to, self._clock()))

    async def _release(self, tracked: Tracked, pod: PodView, to: To, decided: float) -> None:
        releases, failures = tracked.releases, 0
        while not tracked.gone and pod.uid in releases.released:
            try:
                async with self._limit:
                    off = await self._is_off(pod, to, tracked.memory.node_kind)
            except ApiError as error:
                failures += 1
                if error.passing:
                    await asyncio.sleep(pause(failures, error.retry_after))
                    continue
                self._refused(releases, pod, error)
                off = False
            except FAULTS as error:
                failures += 1
                wait = pause(failures)
                LOGGER.info("%s: %s; again in %.1f s", pod.name, error or type(error).__name__, wait)
                await asyncio.sleep(wait)
                continue
            if off:
                RELEASED.inc()
                took = self._clock() - decided
                SECONDS.observe(took)
                self._took.append(took)
                releases.refused.pop(pod.uid, None)
            else:
                releases.released.pop(pod.uid, None)
            return

    def _refused(self, releases: Releases, pod: PodView, error: ApiError) -> None:
        """Put a pod aside for some time, longer after each refusal: others of its run may be released meanwhile."""
        before = releases.refused.get(pod.uid)
        times = before.times + 1 if before else 1
        why = f"the pod {pod.name} cannot be released: {error.message}{advice(error.message, 'render')}"
        if not releases.refused:  # logged once: what refuses one pod of a run mostly refuses all
            LOGGER.warning("%s/%s: %s", *pod.run, why)
        releases.refused[pod.uid] = Refusal(why, times, self._clock() + pause(times, error.retry_after))

    async def _is_off(self, pod: PodView, to: To, kind: NodeKind) -> bool:
        """Take the gate off, and return whether it is off now, by this request or one before it.

        Raises:
            ApiError: the request was refused, and the gate is on.
        """
        path = f"/api/v1/namespaces/{pod.run[0]}/pods/{pod.name}"
        try:
            await self._api.patch(path, release_patch(pod, to, self._wall(), kind), JSON_PATCH)
        except ApiError as error:
            if error.code == NOT_FOUND:
                return False
            if error.code != NOT_AS_EXPECTED:
                raise
            found = await self._api.get(path)
            if found is None or found["metadata"]["uid"] != pod.uid:
                return False
            now = replace(pod, gate=gate_of(found["spec"]), affinity=found["spec"].get("affinity"))
            if not now.gated:
                return True
            if now == pod:
                raise
        else:
            return True
        # Another controller has changed its gates or its affinity since the watch brought it.
        return await self._is_off(now, to, kind)


def release_patch(pod: PodView, to: To, wall: float, kind: NodeKind = ANY) -> list[Manifest]:
    """Return the patch that takes a pod's gate off, and narrows it to a kind of nodes, and to where it is sent.

    It holds for this very pod alone: another of the same name would have another UID.
    """
    patch: list[Manifest] = [
        {"op": "test", "path": "/metadata/uid", "value": pod.uid},
        {"op": "test", "path": f"/spec/schedulingGates/{pod.gate}/name", "value": GATE},
        {"op": "remove", "path": f"/spec/schedulingGates/{pod.gate}"},
    ]
    placement, narrower = Placement(api_time(wall)), dict[str, Any]()
    match to:
        case GpuId():
            gpu = Gpu(to.node, to.index, to.uuid, to.instance)
            placement, narrower = replace(placement, node=to.node, gpu=gpu), _only_on(to.node)
        case Elsewhere():
            placement, narrower = replace(placement, new_node=True), _away_from(to.nodes)
        case str() if to:
            placement, narrower = replace(placement, node=to), _only_on(to)
    for name, value in placement.dump().items():
        patch.append({"op": "add", "path": f"/metadata/annotations/{pointer(name)}", "value": value})
    if kind.labels:
        narrower = _both(_of_kind(kind), narrower)
    if narrower:
        if pod.affinity is not None:
            patch.append({"op": "test", "path": "/spec/affinity", "value": pod.affinity})
        patch.append({"op": "add", "path": "/spec/affinity", "value": narrowed(pod.affinity, narrower)})
    return patch


def narrowed(affinity: Manifest | None, narrower: Manifest) -> Manifest:
    """Return an affinity that allows the nodes that it allowed before and that ``narrower``, a term, matches.

    A pod may go where one of its terms matches, and of a gated pod the API server allows additions to terms alone. So
    each term gets the requirements, behind its own. A term without any matches no node, and stays as it is.
    """
    kept: Manifest = affinity or {}
    nodes: Manifest = kept.get("nodeAffinity") or {}
    terms = (nodes.get(REQUIRED) or {}).get("nodeSelectorTerms")
    made = [_both(term, narrower) for term in terms] if terms else [narrower]
    return kept | {"nodeAffinity": nodes | {REQUIRED: {"nodeSelectorTerms": made}}}


def _both(term: Manifest, more: Manifest) -> Manifest:
    if not any(term.values()):
        return term
    return term | {key: [*(term.get(key) or ()), *requirements] for key, requirements in more.items()}


def _only_on(node: str) -> Manifest:
    """Return the term that only one node matches."""
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}


def _of_kind(kind: NodeKind) -> Manifest:
    """Return the term that all nodes of a kind match."""
    return {"matchExpressions": [{"key": key, "operator": "In", "values": [value]} for key, value in kind.labels]}


def _away_from(nodes: tuple[Label, ...]) -> Manifest:
    """Return the term that none of these nodes matches.

    By labels: of the field one name alone may be excluded, and autoscalers do not know it.
    """
    values: dict[str, list[str]] = {}
    for key, value in nodes:
        values.setdefault(key, []).append(value)
    return {"matchExpressions": [{"key": key, "operator": "NotIn", "values": each} for key, each in values.items()]}

"""What pods request of their nodes, as the scheduler counts it, and a running sum of it for each node."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from kubernetes.utils.quantity import parse_quantity

from clipfarm.cluster.api.cache import Cache
from clipfarm.cluster.api.owners import RunKey
from clipfarm.manifests.common import Manifest
from clipfarm.world import Requests

Amounts = Counter[str]
"""By resource, in the units of :data:`clipfarm.world.Requests`."""
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Requested:
    """What one pod requests of the node that it has, or was sent to."""

    node: str
    requests: Requests
    priority: int = 0
    """Of the pod: the scheduler may end it for one with a higher priority."""
    run: RunKey | None = None
    """The run that it renders for; None: it is no renderer."""


def requested(manifest: Manifest) -> Requested | None:
    """Return what a pod requests that is no renderer's; None while it has no node.

    No more is kept of it: there may be tens of thousands.
    """
    spec = manifest["spec"]
    node = spec.get("nodeName", "")
    return Requested(sys.intern(node), requests(manifest), spec.get("priority") or 0) if node else None


def requests(manifest: Manifest) -> Requests:
    """Return what a pod requests, by Kubernetes' rule.

    Its containers and sidecars run together. Each init container runs with the sidecars before it, so the largest of
    them counts if it is more. Requests of the pod as a whole replace that sum; overhead is added. A container that is
    being resized counts as the larger of what it has and what it is to have.
    """
    spec, status = manifest["spec"], manifest.get("status", {})
    now = {
        each["name"]: each
        for kind in ("containerStatuses", "initContainerStatuses")
        for each in status.get(kind, ())
        if "resources" in each or "allocatedResources" in each
    }
    # Nearly all pods of a run are alike, and each changes some ten times: the sum is made once for all of them.
    return _sum(
        tuple(_container(each, now) for each in spec.get("initContainers", ())),
        tuple(_container(each, now) for each in spec.get("containers", ())),
        _quantities((spec.get("resources") or {}).get("requests")),
        _quantities(spec.get("overhead")),
    )


def _container(container: Manifest, now: Mapping[str, Manifest]) -> "_Container":
    """Return what a container is to have, what it has, and what the kubelet has allocated for it."""
    has = now.get(container.get("name", ""), {})
    parts = (container.get("resources"), has.get("resources"), {"requests": has.get("allocatedResources")})
    found = tuple(_quantities((part or {}).get("requests")) for part in parts)
    return container.get("restartPolicy") == "Always", found


def _quantities(requested: Mapping[str, Any] | None) -> "_Quantities":
    return tuple((name, str(quantity)) for name, quantity in requested.items()) if requested else ()


def allocatable(manifest: Manifest) -> dict[str, int]:
    """Return what pods may request of a node together."""
    return {
        name: math.floor(parse_quantity(quantity) * (1000 if name == "cpu" else 1))
        for name, quantity in manifest.get("status", {}).get("allocatable", {}).items()
    }


class Sums:
    """What all pods of each node request together, kept up to date pod by pod."""

    def __init__(self) -> None:
        self._pods: dict[str, Requested] = {}
        self._all: dict[str, dict[int, Amounts]] = {}
        """By node and priority."""
        self._own: dict[tuple[str, RunKey], dict[int, Amounts]] = {}
        """The same of a run's renderers."""

    def put(self, uid: str, pod: Requested | None) -> None:
        """Count a pod, in place of what was counted for it before; None: it has no node."""
        before = self._pods.pop(uid, None)
        if before != pod:
            self._count(before, -1)
            self._count(pod, 1)
        if pod is not None:
            self._pods[uid] = pod

    def has(self, node: str, run: RunKey) -> bool:
        """Return whether renderers of a run request something of a node."""
        return (node, run) in self._own

    def others(self, node: str, run: RunKey, priority: int | None) -> Amounts:
        """Return what all pods of a node request but the renderers of a run.

        Args:
            node: its name.
            run: whose renderers are left out.
            priority: pods with a lower one are left out, too: the scheduler ends them. None: it ends none.
        """
        found = Amounts()
        # Sums and differences of Counters take three times as long, and this is asked for many nodes on each tick.
        for sign, by_priority in ((1, self._all.get(node)), (-1, self._own.get((node, run)))):
            for level, amounts in by_priority.items() if by_priority else ():
                if priority is None or level >= priority:
                    for name, amount in amounts.items():
                        found[name] += sign * amount
        return found

    def _count(self, pod: Requested | None, sign: int) -> None:
        if pod is None or not pod.requests:
            return
        self._add(self._all, pod.node, pod, sign)
        if pod.run is not None:
            self._add(self._own, (pod.node, pod.run), pod, sign)

    @staticmethod
    def _add(sums: dict[V, dict[int, Amounts]], key: V, pod: Requested, sign: int) -> None:
        amounts = sums.setdefault(key, {}).setdefault(pod.priority, Amounts())
        amounts.update({name: sign * amount for name, amount in pod.requests})
        if not amounts["pods"]:
            del sums[key][pod.priority]
            if not sums[key]:
                del sums[key]


class Counted(Cache[V]):
    """Views of pods whose requests are a part of the sums."""

    def __init__(self, run_of: Callable[[V], Hashable], sums: Sums, of: Callable[[V], Requested | None]) -> None:
        super().__init__(run_of)
        self._sums, self._of = sums, of

    def put(self, uid: str, view: V) -> bool:
        """Store a view, and return whether it differs."""
        differs = super().put(uid, view)
        self._sums.put(uid, self._of(view))
        return differs

    def drop(self, uid: str) -> V | None:
        """Forget a view, and return it."""
        self._sums.put(uid, None)
        return super().drop(uid)


_Quantities = tuple[tuple[str, str], ...]
"""As Kubernetes writes them, by resource."""
_Container = tuple[bool, tuple[_Quantities, ...]]
"""Whether it restarts always, and what counts of its requests, of which the largest does."""


@lru_cache(maxsize=1024)
def _sum(
    first_ones: tuple[_Container, ...], containers: tuple[_Container, ...], whole: _Quantities, overhead: _Quantities
) -> Requests:
    """Return what a pod requests: see :func:`requests`."""

    def of(parts: Iterable[_Quantities]) -> Amounts:
        return _largest(map(_amounts, parts))

    sidecars, first = Amounts(), Amounts()
    for always, parts in first_ones:
        together = sidecars.copy()
        together.update(of(parts))
        if always:
            sidecars = together
        first = _largest((first, together))
    together = sidecars.copy()
    for _, parts in containers:
        together.update(of(parts))
    found = Amounts({**_largest((together, first)), **_amounts(whole)})
    found.update(_amounts(overhead))
    found["pods"] = 1
    return tuple(sorted(found.items()))


@lru_cache(maxsize=4096)
def _amount(resource: str, quantity: str) -> int:
    amount: int = math.ceil(parse_quantity(quantity) * (1000 if resource == "cpu" else 1))
    return max(0, amount)


def _amounts(quantities: _Quantities) -> Amounts:
    return Amounts({name: _amount(name, quantity) for name, quantity in quantities})


def _largest(those: Iterable[Amounts]) -> Amounts:
    found = Amounts()
    for each in those:
        found |= each  # of each resource the larger amount
    return found

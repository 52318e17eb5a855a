"""Node pools that a real Karpenter fills and empties; kwok plays the nodes."""

import contextlib
import secrets
import threading
import time
from typing import Any

import urllib3

from helpers.cluster import Api, ApiError, Object
from helpers.exporters import TOTAL_MIB, Served
from helpers.local import wait_until

POOLS, CLASSES, CLAIMS = (
    "karpenter.sh/v1/nodepools", "karpenter.kwok.sh/v1alpha1/kwoknodeclasses", "karpenter.sh/v1/nodeclaims",
)  # fmt: skip
LABEL = "clipfarm.test/pool"


class Pool:
    """A pool of nodes of one instance type, for one test; see tools/cluster/karpenter/instance_types.json."""

    def __init__(self, api: Api, instance_type: str = "cpu-4", capacity: str = "spot") -> None:
        self.name = f"pool-{secrets.token_hex(3)}"
        self.most = 0
        """The most nodes that were there, or on their way, at a time."""
        self._api, self._type, self._capacity = api, instance_type, capacity
        self._stopped = False
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    @property
    def selector(self) -> dict[str, str]:
        return {LABEL: self.name}

    def open(self) -> "Pool":
        """Make the pool: from now on Karpenter adds nodes to it."""
        with contextlib.suppress(ApiError):
            self._api.request("POST", self._api.path(CLASSES), _node_class())
        self._api.request("POST", self._api.path(POOLS), self._manifest())
        return self

    def nodes(self) -> list[Object]:
        return self._list("v1/nodes")

    def one_node(self) -> Object:
        return wait_until(lambda: next(iter(self.nodes()), None), "a node of the pool")

    def take_away(self, node: Object) -> None:
        """Do as a cloud does with a spot instance: Karpenter drains what is deleted, and the node goes."""
        self._api.request("DELETE", self._api.path("v1/nodes") + "/" + node["metadata"]["name"])

    def close(self) -> None:
        """Delete the pool: its nodes go by themselves, and no other test's pods go to them."""
        self._stopped = True
        self._watching.join()
        with contextlib.suppress(ApiError):
            self._api.request("DELETE", f"{self._api.path(POOLS)}/{self.name}")

    def _list(self, resource: str) -> list[Object]:
        return self._api.request("GET", f"{self._api.path(resource)}?labelSelector={LABEL}%3D{self.name}")["items"]

    def _watch(self) -> None:
        while not self._stopped:
            with contextlib.suppress(ApiError, urllib3.exceptions.HTTPError):
                self.most = max(self.most, len(self._list(CLAIMS)), len(self.nodes()))
            time.sleep(0.2)

    def _manifest(self) -> dict[str, Any]:
        requirements = {
            "node.kubernetes.io/instance-type": self._type,
            "karpenter.sh/capacity-type": self._capacity,
        }
        return {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": self.name},
            "spec": {
                "template": {
                    "metadata": {"labels": self.selector},
                    "spec": {
                        "requirements": [
                            *({"key": key, "operator": "In", "values": [each]} for key, each in requirements.items()),
                            # Each node gets a value of its own.
                            {"key": "clipfarm.dev/node-id", "operator": "Exists"},
                        ],
                        "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
                        "expireAfter": "Never",
                        "terminationGracePeriod": "10s",
                    },
                },
                "limits": {"cpu": "100"},
                "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "2s"},
            },
        }


def _node_class() -> dict[str, Any]:
    return {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "default"}}


class IdleGpus(Served):
    """An exporter that reports two GPUs with little in use on each node that the pool has."""

    def __init__(self, pool: Pool, used_mib: float = 500.0) -> None:
        self._pool, self.used_mib = pool, used_mib
        self.silent = False
        """Whether it answers with an error."""
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}/metrics"

    def page(self) -> str | None:
        if self.silent:
            return None
        lines = []
        for node in self._pool.nodes():
            name = node["metadata"]["name"]
            for gpu in (0, 1):
                labels = f'{{gpu="{gpu}",UUID="GPU-{name}-{gpu}",Hostname="{name}"}}'
                lines.append(f"DCGM_FI_DEV_FB_USED{labels} {self.used_mib}")
                lines.append(f"DCGM_FI_DEV_FB_FREE{labels} {TOTAL_MIB - self.used_mib}")
                lines.append(f"clipfarm_agent_reading_age_seconds{labels} 0")
        return "\n".join(lines) + "\n"

"""Nodes that kwok plays, and a storage class whose claims it binds."""

from dataclasses import dataclass
from typing import Any

from control_plane.api import Api
from control_plane.components import FAKE_NODE


@dataclass(frozen=True)
class Size:
    """What each node says it has, as Kubernetes quantities."""

    cpu: str = "8"
    memory: str = "32Gi"
    gpus: int = 0

    def resources(self) -> dict[str, str]:
        """As they stand in a node's status."""
        found = {"cpu": self.cpu, "memory": self.memory, "pods": "1000"}
        return found | ({"nvidia.com/gpu": str(self.gpus)} if self.gpus else {})


def add(api: Api, count: int, size: Size) -> None:
    """Make the nodes node-0, node-1, ... that are not there yet."""
    for number in range(count):
        api.create("/api/v1/nodes", _node(f"node-{number}", size))


def add_storage_class(api: Api, *, default: bool) -> None:
    """A class whose claims are bound at once, in any access mode, to volumes that hold nothing."""
    api.create(
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            # The name that kwok's own stages for volumes ask for.
            "metadata": {
                "name": "kwok-volume",
                "annotations": {"storageclass.kubernetes.io/is-default-class": str(default).lower()},
            },
            "provisioner": "kwok.x-k8s.io/volume",
        },
    )


def settled(api: Api) -> bool:
    """Whether a pod that is made now would be accepted and could be scheduled on every node."""
    accounts = api.request("GET", "/api/v1/namespaces/default/serviceaccounts")["items"]
    nodes = api.request("GET", "/api/v1/nodes")["items"]
    return any(account["metadata"]["name"] == "default" for account in accounts) and all(map(_ready, nodes))


def _ready(node: dict[str, Any]) -> bool:
    conditions = {item["type"]: item["status"] for item in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not any(
        taint["key"] == "node.kubernetes.io/not-ready" for taint in node["spec"].get("taints", [])
    )


def _node(name: str, size: Size) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "annotations": FAKE_NODE,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "type": "kwok",
            },
        },
        "status": {"allocatable": size.resources(), "capacity": size.resources()},
    }

"""A node that the test plays itself: nothing happens to its pods unless the test says so."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from helpers.cluster import ApiError, Namespace, Object
from helpers.local import wait_until

LABEL = "clipfarm.test/played"
PODS = "v1/pods"


def time_text(age: float = 0.0) -> str:
    """A time of ``age`` seconds ago, as the API server writes it."""
    return (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")


def waiting(reason: str, message: str) -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def running(age: float = 0.0) -> Object:
    return {"running": {"startedAt": time_text(age)}}


def terminated(code: int) -> Object:
    return {"terminated": {"exitCode": code, "reason": "Error", "startedAt": time_text(), "finishedAt": time_text()}}


class PlayedNode:
    """A node without a kubelet. It is ready until the test says otherwise."""

    def __init__(self, namespace: Namespace, selector: dict[str, str] | None = None) -> None:
        """Make it; with the ``selector`` of another one, pods may go to either."""
        self.namespace, self.name = namespace, f"played-{secrets.token_hex(3)}"
        self.selector = selector or {LABEL: self.name}
        there = {"cpu": "64", "memory": "256Gi", "pods": "100"}
        metadata = {"name": self.name, "labels": self.selector | {"kubernetes.io/hostname": self.name}}
        self._request("POST", "", {"metadata": metadata, "status": {"allocatable": there, "capacity": there}})
        self.ready("True")
        wait_until(lambda: not self._request("GET")["spec"].get("taints"), "the node to take pods")

    def ready(self, status: str) -> None:
        """Say whether the node answers: True, False, or Unknown as the control plane writes it of a silent one."""
        times = {"lastTransitionTime": time_text(), "lastHeartbeatTime": time_text()}
        condition = {"type": "Ready", "status": status, "reason": "Test", "message": "", **times}
        self._patch("/status", {"status": {"conditions": [condition]}})

    def delete(self) -> None:
        self._request("DELETE")

    def take(self, pod: Object, age: float = 0.0, *, ready: bool = True, **containers: Object) -> None:
        """Say what the kubelet would: since when it has the pod, the state of each container, what probes found."""
        statuses = [
            {"name": name.replace("_", "-"), "image": "i", "imageID": "", "ready": ready and "running" in state,
             "restartCount": 0, "state": state}
            for name, state in containers.items()
        ]  # fmt: skip
        phase = "Running" if any("running" in state for state in containers.values()) else "Pending"
        body = {"status": {"phase": phase, "startTime": time_text(age), "containerStatuses": statuses}}
        self.namespace.patch(PODS, pod["metadata"]["name"], "status", body=body)

    def warn(self, pod: Object, reason: str, message: str) -> None:
        """Say in an Event what the kubelet says there alone."""
        named = {"kind": "Pod", "namespace": self.namespace.name, "name": pod["metadata"]["name"]}
        event = {
            "metadata": {"name": f"{pod['metadata']['name']}.{secrets.token_hex(4)}"},
            "involvedObject": named | {"uid": pod["metadata"]["uid"]},
            "lastTimestamp": time_text(),
        }
        self.namespace.create("v1/events", event | {"type": "Warning", "reason": reason, "message": message})

    def pods(self, role: str = "render", count: int = 1) -> list[Object]:
        """Wait until so many pods are bound to the node, and return them."""

        def look() -> list[Object] | None:
            found = self.namespace.pods(f"clipfarm.dev/role={role}")
            here = [pod for pod in found if pod["spec"].get("nodeName") == self.name]
            return here if len(here) == count else None

        return wait_until(look, f"{count} pods to be bound to {self.name}") or []

    def close(self) -> None:
        for pod in self.namespace.pods():
            path = self.namespace.api.path(PODS, self.namespace.name, pod["metadata"]["name"])
            self._quietly("DELETE", path, {"gracePeriodSeconds": 0})
        self._quietly("DELETE", f"/api/v1/nodes/{self.name}")

    def _quietly(self, method: str, path: str, body: object = None) -> None:
        try:
            self.namespace.api.request(method, path, body)
        except ApiError as error:
            if error.status != 404:
                raise

    def _patch(self, rest: str, body: Any) -> None:
        kind = "application/strategic-merge-patch+json"
        self.namespace.api.request("PATCH", f"/api/v1/nodes/{self.name}{rest}", body, kind)

    def _request(self, method: str, rest: str | None = None, body: Any = None) -> Any:
        path = "/api/v1/nodes" if rest == "" else f"/api/v1/nodes/{self.name}"
        return self.namespace.api.request(method, path, body)

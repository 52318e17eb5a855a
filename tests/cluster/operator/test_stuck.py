"""Pods that were sent to a node which does not take them: they are made again and go elsewhere, and no clip fails."""

import secrets
from collections.abc import Iterator

import pytest

from helpers.cluster import ApiError, ControlPlane, Namespace, Object
from helpers.exporters import Exporter
from helpers.kubelet import End, Kubelet, failures
from helpers.local import wait_until
from helpers.operators import CLAIMS, EVENTS, JOBS, PODS, Runs

NODE = "clipfarm.dev/node"
CPUS = "8"
LABEL = "clipfarm.test/spare"
LONG = 3600
"""Seconds for which nothing counts as stuck."""


class Nodes:
    """Two nodes of a test's own, one GPU each, and exporters that tell of both."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace, self.label = namespace, secrets.token_hex(3)
        self.first, self.second = f"spare-{self.label}-a", f"spare-{self.label}-b"
        self.exporters = [Exporter(1000.0, host=name) for name in (self.first, self.second)]
        self._made: list[str] = []
        for name in (self.first, self.second):
            self.make("v1/nodes", self._node(name))
        wait_until(lambda: all(map(self._ready, (self.first, self.second))), "both nodes to be ready")

    def _node(self, name: str) -> Object:
        labels = {"kubernetes.io/hostname": name, LABEL: self.label}
        there = {"cpu": CPUS, "memory": "32Gi", "pods": "100"}
        metadata = {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
        return {"metadata": metadata, "status": {"allocatable": there, "capacity": there}}

    def _ready(self, name: str) -> bool:
        node = self.namespace.api.request("GET", f"/api/v1/nodes/{name}")
        ready = {entry["type"]: entry["status"] for entry in node["status"].get("conditions", ())}.get("Ready")
        return ready == "True" and not node["spec"].get("taints")

    @property
    def endpoints(self) -> list[object]:
        """Options of an operator that asks for the GPUs of both."""
        return [part for each in self.exporters for part in ("--vram-endpoint", each.url)] + ["--dcgm-interval", 0]

    def make(self, resource: str, manifest: Object) -> None:
        """Make an object of the cluster's, which goes with the test."""
        path = self.namespace.api.path(resource)
        self.namespace.api.request("POST", path, manifest)
        self._made.append(f"{path}/{manifest['metadata']['name']}")

    @property
    def selector(self) -> dict[str, str]:
        return {LABEL: self.label}

    def fill(self, name: str) -> None:
        """A pod of somebody else's takes all CPUs of a node, which no reading of GPU memory shows."""
        container = {"name": "other", "image": "none", "resources": {"requests": {"cpu": CPUS}}}
        self.namespace.create(
            PODS, {"metadata": {"name": "other"}, "spec": {"nodeName": name, "containers": [container]}}
        )
        wait_until(lambda: self.namespace.get(PODS, "other")["status"]["phase"] == "Running", "it to run")

    def cordon(self, name: str) -> None:
        body = {"spec": {"unschedulable": True}}
        self.namespace.api.request("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")

    def delete(self, name: str) -> None:
        self.namespace.api.request("DELETE", f"/api/v1/nodes/{name}")

    def close(self) -> None:
        for path in self._made:
            try:
                self.namespace.api.request("DELETE", path)
            except ApiError as error:
                if error.status != 404:
                    raise
        for exporter in self.exporters:
            exporter.close()


@pytest.fixture
def nodes(definition: ControlPlane, driven: Namespace) -> Iterator[Nodes]:
    made = Nodes(driven)
    yield made
    made.close()


@pytest.fixture
def runs(driven: Namespace) -> Runs:
    return Runs(driven)


def start_run(runs: Runs, selector: dict[str, str], clips: int = 4, **spec) -> None:
    vram = {"checkInterval": "0.5s", "perClip": "1Gi", "allocationTime": "0s"}
    runs.create(clips=clips, workers=2, vram=vram, render={"device": "cuda", "pod": {"nodeSelector": selector}}, **spec)


def stuck(runs: Runs, node: str) -> Object:
    """Wait for a pod that was sent to a node and finds no room there."""

    def look() -> Object | None:
        for pod in runs.at_work():
            scheduled = {entry["type"]: entry.get("reason") for entry in pod["status"].get("conditions", ())}
            sent_to = pod["metadata"].get("annotations", {}).get(NODE)
            if sent_to == node and scheduled.get("PodScheduled") == "Unschedulable":
                return pod
        return None

    found = wait_until(look, f"a pod that is stuck on its way to {node}")
    assert "nodeName" not in found["spec"]
    return found


def assert_each_clip_was_made_once(runs: Runs, clips: int = 4) -> None:
    status = runs.finished()
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", clips, 0)

    def ended() -> Object | None:
        job = runs.namespace.get(JOBS, "run-render")
        return job if any(each["type"] == "Complete" for each in job["status"].get("conditions", ())) else None

    job = wait_until(ended, "the Job to have counted all pods")
    assert (job["status"]["succeeded"], job["status"]["completedIndexes"]) == (clips, f"0-{clips - 1}")
    assert not job["status"].get("failed"), "nothing was counted"
    assert {failures(pod) for pod in runs.pods()} == {0}
    assert len([pod for pod in runs.pods() if pod["status"]["phase"] == "Succeeded"]) == clips


def told(runs: Runs) -> list[str]:
    return [event["message"] for event in runs.namespace.list(EVENTS) if event["reason"] == "PodStuck"]


def test_a_pod_whose_node_is_deleted_before_it_is_bound_is_made_again(nodes: Nodes, runs: Runs, start_operator):
    nodes.fill(nodes.first)
    start_operator(runs.namespace, "--stuck-after", LONG, *nodes.endpoints)
    with Kubelet(runs.namespace, lambda _: End(seconds=0.2)):
        start_run(runs, nodes.selector)
        pod = stuck(runs, nodes.first)
        nodes.delete(nodes.first)
        assert_each_clip_was_made_once(runs)
    assert pod["metadata"]["name"] not in {each["metadata"]["name"] for each in runs.pods()}
    [message] = wait_until(lambda: told(runs), "the event")
    assert message.startswith(f"1 pod that was sent to {nodes.first} did not start: the node is gone")


def test_a_pod_whose_node_is_cordoned_before_it_is_bound_is_made_again(nodes: Nodes, runs: Runs, start_operator):
    nodes.fill(nodes.first)
    operator = start_operator(runs.namespace, "--stuck-after", LONG, *nodes.endpoints)
    start_run(runs, nodes.selector)
    stuck(runs, nodes.first)
    nodes.cordon(nodes.first)
    runs.namespace.delete(PODS, "other")
    assert not told(runs)
    operator.end()
    # Another operator knows only what it sees.
    start_operator(runs.namespace, "--stuck-after", 1, *nodes.endpoints)
    with Kubelet(runs.namespace, lambda _: End(seconds=0.2)):
        assert_each_clip_was_made_once(runs)
    assert {pod["spec"]["nodeName"] for pod in runs.pods()} == {nodes.second}
    assert told(runs)


@pytest.mark.parametrize("why", ["Insufficient cpu", "node affinity"])
def test_a_pod_that_its_node_cannot_take_is_made_again_and_the_node_avoided(
    nodes: Nodes, runs: Runs, start_operator, why: str
):
    if why == "Insufficient cpu":
        nodes.fill(nodes.first)
        storage = {"size": "1Gi"}
    else:
        storage = volume_of_one_node(nodes, nodes.second)
    start_operator(runs.namespace, "--stuck-after", 1, *nodes.endpoints)
    with Kubelet(runs.namespace, lambda _: End(seconds=0.2)):
        start_run(runs, nodes.selector, clips=8, storage=storage)
        assert_each_clip_was_made_once(runs, clips=8)
    assert {pod["spec"]["nodeName"] for pod in runs.pods()} == {nodes.second}
    [message] = wait_until(lambda: told(runs), "the event")
    assert message.startswith(f"1 pod that was sent to {nodes.first} did not start: ")
    assert why in message


def test_without_another_node_a_pod_waits_for_room_and_the_condition_says_so(nodes: Nodes, runs: Runs, start_operator):
    nodes.fill(nodes.first)
    start_operator(runs.namespace, "--stuck-after", 0, *nodes.endpoints)
    start_run(runs, {"kubernetes.io/hostname": nodes.first}, clips=1)
    pod = stuck(runs, nodes.first)
    wait_until(lambda: runs.condition("Progressing")["reason"] == "Unschedulable", "the condition to say so")
    assert "Insufficient cpu" in runs.condition("Progressing")["message"]
    runs.namespace.delete(PODS, "other")
    [running] = runs.running(1)
    assert running["metadata"]["uid"] == pod["metadata"]["uid"]
    assert not told(runs)


def volume_of_one_node(nodes: Nodes, node: str) -> Object:
    """Make a claim whose volume one node alone can mount, and return a run's storage."""
    name, size = f"clips-{nodes.label}", {"storage": "1Gi"}
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]
    volume = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": size,
        "storageClassName": "none",
        "hostPath": {"path": "/none"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
        "claimRef": {"namespace": nodes.namespace.name, "name": name},
    }
    nodes.make("v1/persistentvolumes", {"metadata": {"name": name}, "spec": volume})
    claim = {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": size}, "storageClassName": "none",
        "volumeName": name,
    }  # fmt: skip
    nodes.namespace.create(CLAIMS, {"metadata": {"name": name}, "spec": claim})
    wait_until(lambda: nodes.namespace.get(CLAIMS, name)["status"].get("phase") == "Bound", "the claim to be bound")
    return {"claimName": name}

"""No node has room for a clip: some pods are released without one, and nodes that a test adds take them."""

import secrets
from collections.abc import Iterator

import pytest

from helpers.cluster import ApiError, ControlPlane, Namespace, Object
from helpers.exporters import Exporter
from helpers.kubelet import End, Kubelet, end_pod, failures
from helpers.local import wait_until
from helpers.operators import EVENTS, JOBS, Runs

LABEL = "clipfarm.test/added"
AFFINITY = "requiredDuringSchedulingIgnoredDuringExecution"


class Nodes:
    """Nodes of a test's own, that it adds one by one."""

    def __init__(self, namespace: Namespace) -> None:
        self._api, self.label = namespace.api, secrets.token_hex(3)
        self.names: list[str] = []

    @property
    def selector(self) -> dict[str, str]:
        return {LABEL: self.label}

    def name(self, number: int) -> str:
        return f"added-{self.label}-{number}"

    def add(self, cpus: int = 8) -> str:
        name = self.name(len(self.names))
        there = {"cpu": str(cpus), "memory": "64Gi", "pods": "100"}
        labels = {"kubernetes.io/hostname": name, LABEL: self.label}
        metadata = {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
        self._api.request(
            "POST", "/api/v1/nodes", {"metadata": metadata, "status": {"allocatable": there, "capacity": there}}
        )
        self.names.append(name)
        wait_until(lambda: self._ready(name), f"the node {name} to be ready")
        return name

    def _ready(self, name: str) -> bool:
        node = self._api.request("GET", f"/api/v1/nodes/{name}")
        ready = {entry["type"]: entry["status"] for entry in node["status"].get("conditions", ())}.get("Ready")
        return ready == "True" and not node["spec"].get("taints")

    def close(self) -> None:
        for name in self.names:
            try:
                self._api.request("DELETE", f"/api/v1/nodes/{name}")
            except ApiError as error:
                if error.status != 404:
                    raise


@pytest.fixture
def nodes(definition: ControlPlane, driven: Namespace) -> Iterator[Nodes]:
    made = Nodes(driven)
    yield made
    made.close()


@pytest.fixture
def runs(driven: Namespace) -> Runs:
    return Runs(driven)


def waiting(runs: Runs, count: int) -> list[Object]:
    """Wait until the scheduler has found no node for so many pods, and return them."""

    def look() -> list[Object] | None:
        found = [pod for pod in runs.at_work() if "nodeName" not in pod["spec"] and unschedulable(pod)]
        return found if len(found) == count else None

    return wait_until(look, f"{count} pods that the scheduler finds no node for")


def unschedulable(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable" for each in conditions)


def uids(pods: list[Object]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def assert_each_clip_was_made_once(runs: Runs, clips: int) -> None:
    status = runs.finished()
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", clips, 0)
    assert {failures(pod) for pod in runs.pods()} == {0}
    job = runs.namespace.get(JOBS, "run-render")
    assert not job["status"].get("failed"), "nothing was counted"


def test_from_zero_two_pods_wait_and_the_run_goes_on_by_itself_when_a_node_comes(
    runs: Runs, nodes: Nodes, start_operator
):
    start_operator(runs.namespace)
    runs.create(clips=12, workers=5, render={"pod": {"nodeSelector": nodes.selector}})
    first = waiting(runs, 2)
    wait_until(lambda: runs.status().get("heldClips") == 3, "the others to be held")
    assert not runs.gated(), "a pod that cannot start takes no quota"
    with Kubelet(runs.namespace, lambda _: End(seconds=0.5)) as kubelet:
        nodes.add()
        assert_each_clip_was_made_once(runs, 12)
    assert uids(first) <= uids(kubelet.started), "they went to the node as they were"


def test_how_many_wait_is_the_runs_to_say_and_none_may(runs: Runs, nodes: Nodes, start_operator):
    start_operator(runs.namespace)
    pod = {"nodeSelector": nodes.selector}
    runs.create(clips=12, workers=5, render={"pod": pod, "scaleUp": {"pending": 0}})
    wait_until(lambda: runs.condition("Progressing")["reason"] == "NoNode", "the run to say that no node fits")
    assert not runs.at_work()
    runs.patch(render={"scaleUp": {"pending": 3}})
    waiting(runs, 3)


def test_workers_left_out_are_settled_by_the_first_node_and_stay_so_over_a_restart(
    runs: Runs, nodes: Nodes, start_operator
):
    operator = start_operator(runs.namespace)
    runs.create(clips=40, render={"pod": {"nodeSelector": nodes.selector}})
    waiting(runs, 2)
    assert "workers" not in runs.status()
    nodes.add(cpus=6)
    runs.running(4)
    wait_until(lambda: runs.status().get("workers") == 4, "the status to say how many")
    nodes.add(cpus=6)
    nodes.add(cpus=6)
    operator.kill()
    operator.start()
    for pod in runs.running(4)[:2]:
        end_pod(runs.namespace, pod["metadata"]["name"])
    wait_until(lambda: runs.status()["rendered"] == 2, "two clips to be counted")
    assert (runs.status()["workers"], len(runs.running(4))) == (4, 4)
    runs.patch(workers=9)
    runs.running(9)
    wait_until(lambda: runs.status()["workers"] == 9, "the status to say how many")


def test_workers_left_out_are_no_more_than_the_cluster_allows(runs: Runs, nodes: Nodes, start_operator):
    start_operator(runs.namespace, "--max-default-workers", 3)
    nodes.add(cpus=8)
    runs.create(clips=20, render={"pod": {"nodeSelector": nodes.selector}})
    runs.running(3)
    wait_until(lambda: runs.status().get("workers") == 3, "the status to say how many")


def test_a_run_that_is_suspended_asks_for_no_node_any_more(runs: Runs, nodes: Nodes, start_operator):
    start_operator(runs.namespace)
    runs.create(clips=6, workers=5, render={"pod": {"nodeSelector": nodes.selector}})
    before = waiting(runs, 2)
    runs.patch(suspend=True)
    wait_until(lambda: not uids(before) & uids(runs.pods()), "the pods to be made again", limit=60)
    assert not runs.at_work()
    [message] = wait_until(
        lambda: [event["message"] for event in runs.namespace.list(EVENTS) if event["reason"] == "PodsRecalled"],
        "the event",
    )
    assert message.startswith("2 pods were taken back before they had a node: spec.suspend is true")
    with Kubelet(runs.namespace, lambda _: End(seconds=0.2)):
        nodes.add()
        runs.patch(suspend=False)
        assert_each_clip_was_made_once(runs, 6)


class TestSharedGpus:
    """Clips that share GPUs are sent to a measured one: the scheduler, which knows none, gives them new nodes only."""

    @pytest.fixture
    def exporters(self, nodes: Nodes) -> Iterator[list[Exporter]]:
        made = [Exporter(1000.0, host=nodes.name(number)) for number in range(2)]
        yield made
        for each in made:
            each.close()

    @pytest.fixture
    def run(self, runs: Runs, nodes: Nodes, exporters: list[Exporter], start_operator) -> Runs:
        """A run of 10 workers, on a node with room for two."""
        endpoints = [part for each in exporters for part in ("--vram-endpoint", each.url)]
        start_operator(runs.namespace, *endpoints, "--dcgm-interval", 0)
        nodes.add(cpus=2)
        vram = {"checkInterval": "0.5s", "perClip": "1Gi", "allocationTime": "0s"}
        runs.create(clips=6, workers=10, vram=vram, render={"device": "cuda", "pod": {"nodeSelector": nodes.selector}})
        return runs

    def test_beyond_the_first_node_one_pod_waits_for_another(self, run: Runs, nodes: Nodes):
        [pod] = waiting(run, 1)
        [term] = pod["spec"]["affinity"]["nodeAffinity"][AFFINITY]["nodeSelectorTerms"]
        hosts = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [nodes.names[0]]}
        assert term == {"matchExpressions": [hosts]}
        assert {each["spec"].get("nodeName") for each in run.at_work()} == {nodes.names[0], None}
        nodes.add(cpus=2)
        wait_until(lambda: len([each for each in run.at_work() if "nodeName" in each["spec"]]) == 4, "both to be full")
        with Kubelet(run.namespace, lambda _: End(seconds=0.2)):
            assert_each_clip_was_made_once(run, 6)
        assert nodes.names[1] in {each["spec"]["nodeName"] for each in run.pods()}

    def test_the_last_clips_do_not_wait_for_a_node_that_never_comes(self, run: Runs, nodes: Nodes):
        [pod] = waiting(run, 1)
        with Kubelet(run.namespace, lambda _: End(seconds=0.2)):
            assert_each_clip_was_made_once(run, 6)
        assert {each["spec"]["nodeName"] for each in run.pods()} == {nodes.names[0]}
        assert pod["metadata"]["uid"] not in uids(run.pods())

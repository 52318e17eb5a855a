"""Nodes of two kinds: a run that requires identical nodes stays on those of the first, also after a restart."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpers.cluster import ControlPlane, Namespace
from helpers.local import wait_until
from helpers.operators import EVENTS, NODES, Operator, Runs

NFD = "feature.node.kubernetes.io/cpu-model"
XEON = {f"{NFD}.vendor_id": "Intel", f"{NFD}.family": "6", f"{NFD}.id": "143"}
EPYC = {f"{NFD}.vendor_id": "AMD", f"{NFD}.family": "25", f"{NFD}.id": "17"}


@pytest.fixture
def add(definition: ControlPlane, namespace: Namespace) -> Iterator[Callable[..., str]]:
    """Add nodes of a test's own; return their names."""
    made: list[str] = []

    def add(name: str, labels: dict[str, str], cpu: str = "4") -> str:
        made.append(f"{name}-{namespace.name}")
        size = {"cpu": cpu, "memory": "64Gi", "pods": "110"}
        own = {"clipfarm.test/node": namespace.name}
        node = {
            "metadata": {"name": made[-1], "labels": own | labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"allocatable": size, "capacity": size},
        }
        definition.api.request("POST", f"/api/{NODES}", node)
        return made[-1]

    yield add
    for name in made:
        definition.api.request("DELETE", f"/api/{NODES}/{name}")


def create(runs: Runs, clips: int, **fields: Any) -> None:
    pod = {
        "nodeSelector": {"clipfarm.test/node": runs.namespace.name},
        "annotations": {"clipfarm.test/run-seconds": "0.5"},
    }
    render = {"keepPods": "all", "clipsPerPod": 1, "requireIdenticalNodes": True, "pod": pod}
    runs.create(clips=clips, workers=4, render=render, **fields)


def test_every_pod_goes_to_nodes_of_the_first_kind_also_after_a_restart(
    runs: Runs, operator: Operator, namespace: Namespace, add: Callable[..., str]
):
    add("a", XEON)
    epyc = {add("b", EPYC), add("c", EPYC)}
    create(runs, 16)
    wait_until(lambda: runs.status().get("rendered", 0) >= 4, "some clips")
    operator.kill()
    add("d", XEON, cpu="64")  # a new choice would be this kind
    operator.start()
    status = runs.finished()
    assert (status["phase"], status["rendered"], status["identicalNodes"]) == ("Succeeded", 16, EPYC)
    pods = runs.pods()
    assert {pod["spec"]["nodeName"] for pod in pods} <= epyc
    expected = [{"key": key, "operator": "In", "values": [value]} for key, value in sorted(EPYC.items())]
    for pod in pods:
        required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        [term] = required["nodeSelectorTerms"]
        assert sorted(term["matchExpressions"], key=lambda each: each["key"]) == expected
    told = [event for event in namespace.list(EVENTS) if event["reason"] == "NodeKind"]
    assert [f"{NFD}.vendor_id=AMD" in event["message"] for event in told] == [True]


def test_nodes_that_do_not_say_what_they_are_are_named_and_taken_once_they_do(
    runs: Runs, operator: Operator, definition: ControlPlane, add: Callable[..., str]
):
    node = add("a", {})
    create(runs, 2)
    wait_until(lambda: runs.condition("Progressing")["reason"] == "NodeKind", "the run to wait")
    message = runs.condition("Progressing")["message"]
    assert message.startswith(f"node {node} has no label that names its processor")
    assert "render.pod.nodeSelector" in message
    assert len(runs.gated()) == len(runs.pods())
    labels = {"node.kubernetes.io/instance-type": "c7i.large"}
    patch, merge = {"metadata": {"labels": labels}}, "application/merge-patch+json"
    definition.api.request("PATCH", f"/api/{NODES}/{node}", patch, merge)
    status = runs.finished()
    assert (status["phase"], status["identicalNodes"]) == ("Succeeded", labels)

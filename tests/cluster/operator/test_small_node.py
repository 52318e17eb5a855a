"""A node that is too small for a renderer and an encoder together: a run ends there all the same."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpers.cluster import Namespace, Object
from helpers.encoder_pods import Encoder, at, encoders, running_encoder
from helpers.kubelet import end_pod
from helpers.local import wait_until
from helpers.operators import DEPLOYMENTS, NODES, PODS, Runs

ENCODE = {"enabled": True, "weights": {"source": "random"}}
SMALL = {"clipfarm.test/node": "small"}


@pytest.fixture
def small(definition, driven: Namespace) -> Iterator[Callable[[str, str], None]]:
    """Add a node of a size, where the operator has its 100m, and let runs go nowhere else."""
    name = f"small-{driven.name}"

    def add(cpu: str, memory: str) -> None:
        size = {"cpu": cpu, "memory": memory, "pods": "110"}
        node = {
            "metadata": {"name": name, "labels": SMALL, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"allocatable": size, "capacity": size},
        }
        definition.api.request("POST", f"/api/{NODES}", node)
        resources = {"requests": {"cpu": "100m", "memory": "128Mi"}}
        container = {"name": "main", "image": "operator", "resources": resources}
        spec = {"containers": [container], "nodeSelector": SMALL}
        driven.create(PODS, {"metadata": {"name": "operator"}, "spec": spec})
        wait_until(lambda: driven.get(PODS, "operator")["status"]["phase"] == "Running", "the operator's pod to run")

    yield add
    definition.api.request("DELETE", f"/api/{NODES}/{name}")


@pytest.fixture
def runs(driven: Namespace, start_operator) -> Runs:
    start_operator(driven, "--encoder-access", "direct")
    return Runs(driven)


def create(runs: Runs, **encode: Any) -> None:
    pod = {"nodeSelector": SMALL}
    runs.create(clips=3, workers=1, render={"pod": pod}, encode=ENCODE | {"pod": pod} | encode)


def render(runs: Runs) -> None:
    """End the one renderer that runs."""
    [pod] = runs.running(1)
    end_pod(runs.namespace, pod["metadata"]["name"])


def unschedulable(pods: list[Object]) -> list[str]:
    conditions = [entry for pod in pods for entry in pod["status"].get("conditions", ())]
    return [entry["message"] for entry in conditions if entry.get("reason") == "Unschedulable"]


def test_with_the_defaults_both_fit_on_two_cpus_and_one_encoder_stays_to_the_end(
    runs: Runs, small: Callable[[str, str], None], encoder: Encoder
):
    small("2", "12Gi")
    create(runs)
    render(runs)
    pod = running_encoder(runs)
    at(runs, pod, encoder)
    for clip in (1, 2):
        encoder.encoded = clip
        render(runs)
        wait_until(lambda clip=clip: runs.status()["rendered"] == clip + 1, "the clip to be counted")
    assert [each["metadata"]["uid"] for each in encoders(runs)] == [pod["metadata"]["uid"]]
    encoder.encoded = 3
    assert runs.finished()["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("size", "encode", "short"), [(("2", "12Gi"), {"cpu": "1"}, "cpu"), (("8", "9Gi"), {}, "memory")]
)
def test_an_encoder_without_work_makes_room_for_the_next_renderer_and_comes_back_after_the_last(
    runs: Runs, small: Callable[[str, str], None], encoder: Encoder, size: tuple[str, str], encode: Any, short: str
):
    small(*size)
    create(runs, **encode)
    runs.running(1)
    runs.patch(suspend=True)
    wait_until(lambda: runs.status()["observedGeneration"] == 2, "the change to be seen")
    render(runs)
    at(runs, running_encoder(runs), encoder)
    encoder.encoded = 1
    wait_until(lambda: runs.status()["encoded"] == 1, "the clip to be counted")

    runs.patch(suspend=False)
    wait_until(lambda: f"Insufficient {short}" in "".join(unschedulable(runs.at_work())), "a renderer without room")
    wait_until(lambda: not encoders(runs), "the encoder to make room")
    render(runs)
    wait_until(lambda: runs.condition("EncoderReady")["reason"] == "MadeRoom", "the condition to say so")
    assert "returns when rendering is done" in runs.condition("EncoderReady")["message"]
    assert runs.status()["encoded"] == 1
    render(runs)

    wait_until(lambda: runs.status()["phase"] == "Encoding", "all to be rendered")
    assert runs.namespace.get(DEPLOYMENTS, "run-encode")["spec"]["replicas"] == 1
    encoder.encoded = 3
    at(runs, running_encoder(runs), encoder)
    status = runs.finished()
    assert (status["phase"], status["rendered"], status["encoded"]) == ("Succeeded", 3, 3)

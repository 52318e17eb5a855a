"""What people read of pods that do not get to work, on a node whose kubelet the test plays."""

import copy
from collections.abc import Callable, Iterator

import pytest
import yaml

from helpers.chart import DEFINITION
from helpers.cluster import ControlPlane, Namespace, Object
from helpers.kubelet import end_pod
from helpers.local import wait_until
from helpers.nodes import PlayedNode, running, terminated, waiting
from helpers.operators import EVENTS, RUNS, Operator, Runs

PULL = 'failed to pull and unpack image "no/such:1": not found'
AGAIN = f'Back-off pulling image "no/such:1": ErrImagePull: {PULL}'
WEIGHTS = {"encode": {"enabled": True, "weights": {"source": "random"}}}


@pytest.fixture
def node(definition: ControlPlane, driven: Namespace) -> Iterator[PlayedNode]:
    made = PlayedNode(driven)
    yield made
    made.close()


@pytest.fixture
def runs(driven: Namespace) -> Runs:
    return Runs(driven)


def start(runs: Runs, node: PlayedNode, clips: int = 1, **spec) -> None:
    runs.create(clips=clips, workers=clips, render={"pod": {"nodeSelector": node.selector}}, **spec)


def stands(runs: Runs, phase: str, reason: str) -> Object:
    """Wait until a run is in this phase for this reason, and return its status."""

    def look() -> Object | None:
        status = runs.status()
        return status if (status.get("phase"), status.get("reason")) == (phase, reason) else None

    return wait_until(look, f"the run to be {phase} because of {reason}") or {}


def told(runs: Runs, reason: str) -> list[str]:
    return [event["message"] for event in runs.namespace.list(EVENTS) if event["reason"] == reason]


def test_an_image_that_is_missing_is_one_reason_whatever_the_kubelet_calls_it(
    runs: Runs, node: PlayedNode, start_operator: Callable[..., Operator], definition: ControlPlane
):
    operator = start_operator(runs.namespace)
    start(runs, node)
    [pod] = node.pods()
    stands(runs, "Running", "Starting")
    assert runs.status()["pods"]["bound"] == 1
    node.take(pod, 180, render=waiting("ErrImagePull", PULL))
    assert stands(runs, "Waiting", "ImagePullBackOff")["pods"]["starting"] == 1
    before = runs.condition("Progressing")
    assert before["message"] == f"1 pod does not get to work: ImagePullBackOff: {PULL}"
    node.take(pod, 180, render=waiting("ImagePullBackOff", AGAIN))
    assert not told(runs, "ImagePullBackOff"), "no warning before it has lasted"

    # Another operator finds that it has been so for three minutes.
    operator.end()
    operator = start_operator(runs.namespace)
    status = wait_until(lambda: runs.status()["held"] and runs.status(), "the clip to be listed as held") or {}
    [held] = status["held"]
    assert (held["reason"], held["clips"], held["count"], status["heldClips"]) == ("ImagePullBackOff", "0", 1, 1)
    assert runs.condition("Progressing") == before, "it is the same state"
    [message] = wait_until(lambda: told(runs, "ImagePullBackOff"), "the warning") or []
    assert message == held["message"]
    assert "has been Starting for more than 2 minutes: ImagePullBackOff: " in message
    assert 'clipfarm_clips_held{reason="ImagePullBackOff"} 1.0' in operator.http("/metrics")[1]
    assert 'clipfarm_pods{role="render",state="Starting"} 1.0' in operator.http("/metrics")[1]
    line = definition.kubectl("--namespace", runs.namespace.name, "get", "bmr").stdout.splitlines()[1]
    assert line.split()[:3] == ["run", "Waiting", "ImagePullBackOff"]

    node.take(pod, render=running())
    status = stands(runs, "Running", "Rendering")
    assert (status["held"], status["heldClips"], status["pods"]["working"]) == ([], 0, 1)
    assert len(told(runs, "ImagePullBackOff")) == 1


def test_a_renderer_that_has_ended_beside_a_container_that_lives_is_named(
    runs: Runs, node: PlayedNode, start_operator: Callable[..., Operator]
):
    start_operator(runs.namespace)
    start(runs, node)
    [pod] = node.pods()
    node.take(pod, istio_proxy=running(), render=waiting("CreateContainerError", "no such device"))
    stands(runs, "Waiting", "CreateContainerError")
    node.take(pod, istio_proxy=running(), render=running())
    stands(runs, "Running", "Rendering")
    node.take(pod, istio_proxy=running(), render=terminated(0))
    status = stands(runs, "Waiting", "SidecarRuns")
    assert (status["pods"]["ending"], status["pods"]["working"]) == (1, 0)
    assert "istio-proxy keeps the pod alive" in runs.condition("Progressing")["message"]


def test_an_encoder_behind_a_sidecar_is_at_work_only_when_its_own_container_runs(
    runs: Runs, node: PlayedNode, start_operator: Callable[..., Operator]
):
    start_operator(runs.namespace)
    encode = {"encode": WEIGHTS["encode"] | {"pod": {"nodeSelector": node.selector}}}
    runs.create(clips=1, **encode)
    [pod] = runs.running(1)
    end_pod(runs.namespace, pod["metadata"]["name"])
    [encoder] = node.pods("encode")
    node.take(encoder, encode=waiting("CreateContainerError", "no such device"), istio_proxy=running())
    stands(runs, "Waiting", "CreateContainerError")
    found = runs.condition("EncoderReady")
    assert (found["status"], found["reason"]) == ("False", "CreateContainerError")
    node.take(encoder, encode=running(), istio_proxy=running())
    stands(runs, "Encoding", "")
    wait_until(lambda: runs.condition("EncoderReady")["status"] != "False", "the encoder to be at work")


def test_a_run_that_an_earlier_version_wrote_is_read_and_written(
    runs: Runs, start_operator: Callable[..., Operator], definition: ControlPlane, tmp_path
):
    """There ``status.held`` was a number."""
    new = yaml.safe_load(DEFINITION.read_text())
    old = copy.deepcopy(new)
    status = old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    status["properties"]["held"] = {"type": "integer", "minimum": 0}
    for name in ("heldClips", "pods", "reason"):
        del status["properties"][name]
        if name in status["required"]:
            status["required"].remove(name)

    try:
        (tmp_path / "old.yaml").write_text(yaml.safe_dump(old))
        done = definition.kubectl("apply", "--server-side", "--force-conflicts", "-f", tmp_path / "old.yaml")
        assert not done.returncode, done.stderr
        runs.create(clips=2)
        counters = dict.fromkeys(("observedGeneration", "rendered", "encoded", "failed", "running", "retried"), 0)
        body = {"status": {"phase": "Running", "total": 2, "held": 2, **counters}}
        wait_until(
            lambda: runs.namespace.patch(RUNS, "run", "status", body=body)["status"].get("held") == 2,
            "the old definition to be taken in",
        )
    finally:
        done = definition.kubectl("apply", "--server-side", "--force-conflicts", "-f", DEFINITION)
        assert not done.returncode, done.stderr
    schema = "/openapi/v3/apis/clipfarm.dev/v1alpha1"
    wait_until(lambda: "heldClips" in str(definition.api.request("GET", schema)), "the definition to be taken in")
    assert runs.status()["held"] == 2
    line = definition.kubectl("--namespace", runs.namespace.name, "get", "bmr", "run").stdout.splitlines()[1]
    assert line.split()[:2] == ["run", "Running"]
    runs.patch(workers=2)
    start_operator(runs.namespace)
    assert runs.finished()["held"] == []

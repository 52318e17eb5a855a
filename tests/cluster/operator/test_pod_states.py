"""Pods that do not start, and pods of a dead node: what people read, and what becomes of their clips."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from clipfarm.cluster.api.pod_states import ENDING_SECONDS
from helpers.chart import DEFINITION
from helpers.cluster import ApiError, ControlPlane, Namespace, Object
from helpers.kubelet import End, end_pod, failures
from helpers.local import wait_until
from helpers.nodes import PlayedNode, running, terminated, waiting
from helpers.operators import EVENTS, PODS, RUNS, Operator, Runs

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


GIVEN_UP = ENDING_SECONDS + 60
"""The kubelet has some time to end a pod before the pod is given up."""


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
    assert before["message"].startswith(f"1 pod does not start working: ImagePullBackOff: {PULL}; check the image")
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


def test_a_pod_that_compiles_kernels_has_a_reason_until_it_is_ready(
    runs: Runs, node: PlayedNode, start_operator: Callable[..., Operator], definition: ControlPlane
):
    operator = start_operator(runs.namespace)
    render = {"device": "gpu", "pod": {"nodeSelector": node.selector}}
    runs.create(clips=1, workers=1, render=render, vram={"enabled": False})
    [pod] = node.pods()
    [container] = pod["spec"]["containers"]
    [preparing] = [each["value"] for each in container["env"] if each["name"] == "CLIPFARM_PREPARING"]
    assert preparing in container["readinessProbe"]["exec"]["command"][-1]
    node.take(pod, 60, render=running(60), ready=False)
    operator.end()
    start_operator(runs.namespace)
    status = stands(runs, "Running", "CompilingKernels")
    assert [held["reason"] for held in status["held"]] == ["CompilingKernels"]
    assert f"1 pod: compiling kernels for the GPU of {node.name}, once" in runs.condition("Progressing")["message"]
    line = definition.kubectl("--namespace", runs.namespace.name, "get", "bmr").stdout.splitlines()[1]
    assert line.split()[:3] == ["run", "Running", "CompilingKernels"]
    node.take(pod, 60, render=running(60))
    assert stands(runs, "Running", "Rendering")["held"] == []


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
    start(runs, node, **encode)
    [pod] = node.pods()
    node.take(pod, render=running())
    end_pod(runs.namespace, pod["metadata"]["name"])
    [encoder] = node.pods("encode")
    node.take(encoder, encode=waiting("CreateContainerError", "no such device"), istio_proxy=running())
    stands(runs, "Waiting", "CreateContainerError")
    found = runs.condition("EncoderReady")
    assert (found["status"], found["reason"]) == ("False", "CreateContainerError")
    node.take(encoder, encode=running(), istio_proxy=running())
    stands(runs, "Encoding", "")
    wait_until(lambda: runs.condition("EncoderReady")["status"] != "False", "the encoder to be at work")


def test_what_the_kubelet_says_in_events_alone_is_read(
    runs: Runs, node: PlayedNode, start_operator: Callable[..., Operator]
):
    start_operator(runs.namespace)
    start(runs, node)
    [pod] = node.pods()
    node.take(pod, render={"waiting": {"reason": "ContainerCreating"}})
    message = "MountVolume.SetUp failed for volume pv: no such share"
    node.warn(pod, "FailedMount", message)
    stands(runs, "Waiting", "FailedMount")
    assert message in runs.condition("Progressing")["message"]
    node.take(pod, render=running())
    stands(runs, "Running", "Rendering")


@pytest.fixture
def pair(node: PlayedNode, driven: Namespace) -> Iterator[tuple[PlayedNode, PlayedNode]]:
    """Two nodes that pods may go to."""
    other = PlayedNode(driven, node.selector)
    yield node, other
    other.close()


def working(runs: Runs, pair: tuple[PlayedNode, PlayedNode], **retry: str) -> tuple[Object, PlayedNode, PlayedNode]:
    """Start a run of one clip; return its pod, which works, the node that it is on, and the other one."""
    start(runs, pair[0], retry=retry)

    def bound() -> Object | None:
        return next((pod for pod in runs.pods() if pod["spec"].get("nodeName")), None)

    pod = wait_until(bound, "the pod to be bound") or {}
    here, other = pair if pod["spec"]["nodeName"] == pair[0].name else pair[::-1]
    here.take(pod, render=running())
    stands(runs, "Running", "Rendering")
    return pod, here, other


def test_a_clip_of_a_node_that_stays_dead_is_made_elsewhere(
    runs: Runs, pair: tuple[PlayedNode, PlayedNode], start_operator: Callable[..., Operator]
):
    start_operator(runs.namespace)
    pod, dead, other = working(runs, pair, lostAfter="2s")
    dead.ready("Unknown")
    stands(runs, "Running", "Rendering")
    runs.namespace.delete(PODS, pod["metadata"]["name"])  # as Kubernetes does, after five minutes
    [message] = wait_until(lambda: told(runs, "NodeLost"), "people to be told", limit=GIVEN_UP) or []
    assert message.startswith(f"the node {dead.name} did not answer for 2s (retry.lostAfter): 1 pod there was given up")
    [again] = other.pods()
    wait_until(lambda: pod["metadata"]["uid"] not in {each["metadata"]["uid"] for each in runs.pods()}, "it to go")
    assert failures(again) == 0, "that was no failed attempt"
    wait_until(lambda: runs.condition("NodeLost")["status"] == "True", "the condition")
    other.take(again, render=running())
    end_pod(runs.namespace, again["metadata"]["name"])
    status = runs.finished()
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", 1, 0)
    assert len(told(runs, "NodeLost")) == 1


def test_a_node_that_comes_back_finds_its_pod_gone_and_the_clip_in_other_hands(
    runs: Runs, pair: tuple[PlayedNode, PlayedNode], start_operator: Callable[..., Operator]
):
    start_operator(runs.namespace)
    pod, cut_off, other = working(runs, pair, lostAfter="2s")
    cut_off.ready("Unknown")
    runs.namespace.delete(PODS, pod["metadata"]["name"])
    wait_until(lambda: told(runs, "NodeLost"), "the pod to be given up", limit=GIVEN_UP)
    [again] = other.pods()
    other.take(again, render=running())
    stands(runs, "Running", "Rendering")
    cut_off.ready("True")
    with pytest.raises(ApiError, match="not found"):  # the kubelet ends what has no pod
        cut_off.take(pod, render=running())
    wait_until(lambda: not runs.condition("NodeLost")["status"], "the condition to go")
    assert runs.status()["pods"]["working"] == 1
    end_pod(runs.namespace, again["metadata"]["name"])
    assert runs.finished()["phase"] == "Succeeded"


def test_a_node_that_comes_back_in_time_ends_its_pod_itself(
    runs: Runs, pair: tuple[PlayedNode, PlayedNode], start_operator: Callable[..., Operator]
):
    start_operator(runs.namespace)
    pod, here, _ = working(runs, pair, lostAfter="1h")
    here.ready("Unknown")
    runs.namespace.delete(PODS, pod["metadata"]["name"])
    status = stands(runs, "Waiting", "NodeSilent")
    assert (status["pods"]["ending"], status["running"]) == (1, 1), "it may still write: its worker is busy"
    here.ready("True")
    wait_until(lambda: runs.status()["reason"] != "NodeSilent", "the node to be seen")
    end_pod(runs.namespace, pod["metadata"]["name"], End(143))
    uid = pod["metadata"]["uid"]
    wait_until(lambda: [each for each in runs.pods() if each["metadata"]["uid"] != uid], "another pod", limit=60)
    assert not told(runs, "NodeLost")


def test_a_run_that_an_earlier_version_wrote_is_read_and_written(
    namespace: Namespace, start_operator: Callable[..., Operator], definition: ControlPlane, tmp_path: Path
):
    """There ``status.held`` was a number."""
    runs = Runs(namespace)
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

    def taken_in() -> bool:
        """Fields that a definition does not know are dropped; an old ``held`` that stays as it is may stay."""
        found = runs.namespace.patch(RUNS, "run", "status", body={"status": {"reason": "Rendering"}})
        return found["status"].get("reason") == "Rendering"

    wait_until(taken_in, "the definition to be taken in")
    assert runs.status()["held"] == 2
    line = definition.kubectl("--namespace", runs.namespace.name, "get", "bmr", "run").stdout.splitlines()[1]
    assert line.split()[:2] == ["run", "Running"]
    runs.patch(workers=2)
    start_operator(runs.namespace)
    assert runs.finished()["held"] == []

"""A real Karpenter adds nodes for a run's pods and removes them: from nothing, by need, and back to nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpers.cluster import ControlPlane, Namespace
from helpers.karpenter import IdleGpus, Pool
from helpers.kubelet import End, Kubelet, end_pod, failures
from helpers.local import wait_until
from helpers.operators import JOBS, Operator, Runs, Witness

LIMIT = 90.0
"""Karpenter gathers pods for a second or more, and its nodes take some to be ready."""


@pytest.fixture
def runs(definition: ControlPlane, driven: Namespace) -> Runs:
    return Runs(driven)


@pytest.fixture
def pool(karpenter: ControlPlane) -> Iterator[Callable[..., Pool]]:
    """Make pools; they are closed, and their nodes gone, after the test."""
    made: list[Pool] = []

    def make(**how: Any) -> Pool:
        made.append(Pool(karpenter.api, **how))
        return made[-1].open()

    yield make
    for each in made:
        each.close()


@pytest.fixture
def operator(start_operator: Callable[..., Operator], driven: Namespace) -> Operator:
    return start_operator(driven)


def create(runs: Runs, pool: Pool, *, clips: int, render: dict[str, Any] | None = None, **spec: Any) -> None:
    options = render or {}
    pod = {"nodeSelector": pool.selector} | options.pop("pod", {})
    runs.create(clips=clips, render=options | {"pod": pod}, **spec)


def on_nodes(runs: Runs) -> int:
    return sum("nodeName" in pod["spec"] for pod in runs.at_work())


def assert_no_clip_failed(runs: Runs, clips: int) -> None:
    status = runs.finished(limit=LIMIT)
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", clips, 0)
    assert {failures(pod) for pod in runs.pods()} == {0}
    job = runs.namespace.get(JOBS, "run-render")
    assert job["status"]["completedIndexes"] == f"0-{clips - 1}"


def test_from_zero_by_need_and_back_to_zero(runs: Runs, pool: Callable[..., Pool], operator: Operator):
    # A node has room for three clips beside what the system takes of its four CPUs.
    nodes = pool(instance_type="cpu-4")
    create(runs, nodes, clips=30, workers=6)
    wait_until(lambda: on_nodes(runs) == 6, "six clips to have nodes", LIMIT)
    with Witness(runs.namespace) as witness, Kubelet(runs.namespace, lambda _: End(seconds=0.5)):
        assert_no_clip_failed(runs, 30)
    assert witness.most <= 6
    # The run's last pod writes its report.
    end_pod(runs.namespace, runs.reporter()["metadata"]["name"])
    wait_until(lambda: not nodes.nodes(), "the nodes to be removed", LIMIT)
    assert nodes.most == 2, "no more than workers can use"


def test_workers_left_out_bring_no_node_beyond_the_first(runs: Runs, pool: Callable[..., Pool], operator: Operator):
    nodes = pool(instance_type="cpu-4")
    create(runs, nodes, clips=12)
    with Kubelet(runs.namespace, lambda _: End(seconds=0.3)):
        assert_no_clip_failed(runs, 12)
    assert (runs.status()["workers"], nodes.most) == (1, 1)


def test_a_spot_node_that_is_taken_away_costs_time_and_no_clip(
    runs: Runs, pool: Callable[..., Pool], operator: Operator
):
    nodes = pool(instance_type="cpu-8", capacity="spot")
    create(runs, nodes, clips=12, workers=4)
    wait_until(lambda: on_nodes(runs) == 4, "four clips to have a node", LIMIT)
    [first] = nodes.nodes()
    nodes.take_away(first)
    names = lambda: {node["metadata"]["name"] for node in nodes.nodes()}  # noqa: E731
    wait_until(lambda: names() and first["metadata"]["name"] not in names(), "another node", LIMIT)
    with Kubelet(runs.namespace, lambda _: End(seconds=0.3)):
        assert_no_clip_failed(runs, 12)


def test_whole_gpus_are_added_two_by_two(
    runs: Runs, pool: Callable[..., Pool], start_operator: Callable[..., Operator]
):
    nodes = pool(instance_type="gpu-2", capacity="on-demand")
    gpus = IdleGpus(nodes)
    try:
        start_operator(runs.namespace, "--vram-endpoint", gpus.url, "--dcgm-interval", 0)
        render = {"device": "cuda", "pod": {"resources": {"nvidia.com/gpu": "1"}}}
        create(runs, nodes, clips=10, workers=4, render=render, vram={"checkInterval": "0.5s", "perClip": "1Gi"})
        wait_until(lambda: on_nodes(runs) == 4, "four clips to have a GPU each", LIMIT)
        assert len(nodes.nodes()) == 2
        with Kubelet(runs.namespace, lambda _: End(seconds=0.3)):
            assert_no_clip_failed(runs, 10)
        assert nodes.most == 2
    finally:
        gpus.close()


def test_where_clips_share_gpus_the_first_is_alone_until_its_node_is_measured_and_a_full_node_brings_another(
    runs: Runs, pool: Callable[..., Pool], start_operator: Callable[..., Operator]
):
    nodes = pool(instance_type="gpu-2", capacity="on-demand")
    gpus = IdleGpus(nodes)
    gpus.silent = True
    try:
        start_operator(runs.namespace, "--vram-endpoint", gpus.url, "--dcgm-interval", 0)
        vram = {"checkInterval": "0.5s", "perClip": "1Gi", "allocationTime": "0s"}
        # Of seven CPUs that are left two clips fit.
        create(runs, nodes, clips=8, workers=4, render={"device": "cuda", "threads": 3}, vram=vram)
        wait_until(lambda: on_nodes(runs) == 1, "one clip to have a node", LIMIT)
        wait_until(lambda: runs.condition("VRAMHeld")["reason"] == "VRAMUnknown", "the others to wait for a reading")
        assert len(runs.at_work()) == 1
        gpus.silent = False
        wait_until(lambda: on_nodes(runs) == 4, "four clips to have nodes", LIMIT)
        assert len(nodes.nodes()) == 2
        with Kubelet(runs.namespace, lambda _: End(seconds=0.3)):
            assert_no_clip_failed(runs, 8)
        assert nodes.most == 2
    finally:
        gpus.close()

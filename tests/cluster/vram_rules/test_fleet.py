"""The rules of GPU memory on a control plane: pods are sent where there is room, and nowhere else."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from helpers.cluster import Namespace
from helpers.gpu_nodes import TOTAL_MIB, GpuNodes
from helpers.kubelet import end_pod
from helpers.local import wait_until
from helpers.operators import EVENTS, Runs

NODES, GPUS = ("node-0", "node-1", "node-2"), 4
VRAM = {"checkInterval": "0.5s", "staleAfter": "5s", "perClip": "1Gi", "allocationTime": "1s"}
CLIP_MIB = 1024.0
FULL = 0.95 * TOTAL_MIB


@pytest.fixture
def play() -> Iterator[Callable[[Namespace], GpuNodes]]:
    """Play the GPUs of the nodes, for the pods of a namespace."""
    played: list[GpuNodes] = []

    def start(namespace: Namespace) -> GpuNodes:
        played.append(GpuNodes(namespace, NODES, GPUS, CLIP_MIB))
        return played[-1]

    yield start
    for each in played:
        each.close()


def nodes_of(pods) -> Counter[str]:
    return Counter(pod["spec"].get("nodeName", "") for pod in pods)


def fill(gpus: GpuNodes, node: str, used: float) -> None:
    for gpu in range(GPUS):
        gpus.others[node, gpu] = used


def test_500_pods_go_to_the_nodes_that_have_room_and_fill_no_gpu(
    definition, namespace: Namespace, start_operator, play
):
    gpus = play(namespace)
    fill(gpus, "node-0", FULL)
    gpus.others["node-1", 0] = 0.5 * TOTAL_MIB
    start_operator(namespace, "--vram-endpoint", gpus.url)
    runs = Runs(namespace)
    runs.create(clips=500, seconds="2", workers=60, render={"device": "cuda"}, vram=VRAM)
    seen = wait_until(lambda: len(pods := runs.at_work()) > 30 and nodes_of(pods), "many pods to be at work", limit=60)
    assert "node-0" not in seen
    wait_until(lambda: closed(runs) == {"node-0"}, "its gate alone to be closed")
    status = runs.finished(limit=300)
    assert (status["phase"], status["rendered"]) == ("Succeeded", 500)
    for (node, _), most in gpus.most.items():
        if node != "node-0":
            assert most <= TOTAL_MIB, "what was sent there fits"
    assert max(gpus.most.values()) > 3 * CLIP_MIB, "several at a time"


def test_hold_release_steer_stale_gone_and_back(definition, driven: Namespace, start_operator, play):
    gpus = play(driven)
    for node in NODES:
        fill(gpus, node, FULL)
    operator = start_operator(driven, "--vram-endpoint", gpus.url)
    runs = Runs(driven)
    runs.create(clips=12, workers=4, render={"device": "cuda"}, vram=VRAM | {"heldWarningAfter": "2s"})

    def held(reason: str) -> str:
        found = wait_until(
            lambda: (entry := runs.condition("VRAMHeld"))["reason"] == reason and entry,
            f"the reason {reason}",
            limit=40,
        )
        return found["message"]

    assert "4 clips held: GPU 0 on node-0 at 95%; starts again below 70%" in held("VRAMHigh")
    assert "Other programs have kept full for longer than 2s" in held("VRAMTaken")
    # The event comes after the status that it tells of.
    told = wait_until(lambda: [each for each in driven.list(EVENTS) if each["reason"] == "VRAMTaken"], "the warning")
    assert [event["type"] for event in told] == ["Warning"]
    assert not runs.at_work()

    # Between its marks a gate stays closed, also for an operator that starts now.
    fill(gpus, "node-1", 0.8 * TOTAL_MIB)
    operator.kill()
    operator.start()
    wait_until(lambda: any(gate["used"] == "80%" for gate in runs.status()["gpus"]), "the new reading", limit=30)
    assert not runs.at_work()

    fill(gpus, "node-1", 0.1 * TOTAL_MIB)
    first = runs.running(4)
    assert nodes_of(first) == {"node-1": 4}, "one node has room"

    # Its exporter says nothing more of node-1, and node-2 gets room.
    gpus.silent.add("node-1")
    wait_until(
        lambda: all(gate["used"] == "unknown" for gate in runs.status()["gpus"] if gate["node"] == "node-1"),
        "the readings of node-1 to become stale", limit=30,
    )  # fmt: skip
    fill(gpus, "node-2", 0.1 * TOTAL_MIB)
    for pod in first[:2]:
        end_pod(driven, pod["metadata"]["name"])
    wait_until(lambda: nodes_of(runs.running(4)) == {"node-1": 2, "node-2": 2}, "node-2 to take the next", limit=30)

    # Nothing is told at all.
    gpus.broken = True
    for pod in first[2:]:
        end_pod(driven, pod["metadata"]["name"])
    runs.running(4)  # while the readings are fresh
    wait_until(lambda: all(gate["used"] == "unknown" for gate in runs.status()["gpus"]), "all to be stale", limit=30)
    for pod in runs.at_work()[:1]:
        end_pod(driven, pod["metadata"]["name"])
    assert "1 clip held" in held("VRAMUnknown")

    gpus.broken = False
    gpus.silent.clear()
    wait_until(lambda: len(runs.at_work()) == 4, "clips to start when it is known again", limit=30)
    assert "node-0" not in nodes_of(runs.at_work())


def test_whole_gpus_are_given_out_by_the_nodes_one_to_a_clip(definition, driven: Namespace, start_operator, play):
    gpus = play(driven)
    fill(gpus, "node-0", FULL)
    gpus.others["node-1", 3] = FULL
    start_operator(driven, "--vram-endpoint", gpus.url)
    runs = Runs(driven)
    pod = {"resources": {"nvidia.com/gpu": "1"}}
    runs.create(clips=12, workers=10, render={"device": "cuda", "pod": pod}, vram=VRAM)
    at_work = runs.running(7)
    assert nodes_of(at_work) == {"node-1": 3, "node-2": 4}
    for each in at_work:
        annotations = each["metadata"]["annotations"]
        assert annotations["clipfarm.dev/node"] == each["spec"]["nodeName"]
        assert "clipfarm.dev/gpu" not in annotations
    wait_until(lambda: runs.status()["heldClips"] == 3, "the others to be held")


def closed(runs: Runs) -> set[str]:
    """Nodes with a closed gate, as the run's status has it."""
    return {gate["node"] for gate in runs.status().get("gpus", ()) if gate["gate"] == "Closed"}

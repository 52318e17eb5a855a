"""GPU memory holds clips back and lets them go: an exporter that the test plays, on nodes with GPUs that kwok plays."""

import json
import time
from collections.abc import Iterator

import pytest

from helpers.cluster import Namespace
from helpers.exporters import TOTAL_MIB, Exporter
from helpers.kubelet import End, end_pod
from helpers.local import wait_until
from helpers.operators import EVENTS, Runs

VRAM = {"high": 0.85, "low": 0.7, "checkInterval": "0.5s", "staleAfter": "4s", "perClip": "1Gi", "allocationTime": "0s"}
# Of the other nodes' GPUs nobody tells.
MEASURED = {"nodeSelector": {"kubernetes.io/hostname": "node-0"}}
SPEC = {"workers": 4, "render": {"device": "cuda", "pod": MEASURED}, "vram": VRAM}


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter(1000.0, host="node-0")
    yield made
    made.close()


def test_clips_are_held_above_the_upper_mark_and_start_again_below_the_lower_one(
    definition, driven: Namespace, start_operator, exporter: Exporter
):
    operator = start_operator(driven, "--vram-endpoint", exporter.url, "--dcgm-interval", 0)
    runs = Runs(driven)
    runs.create(clips=6, **SPEC)
    at_work = runs.running(4)
    assert {pod["spec"]["nodeName"] for pod in at_work} == {"node-0"}, "the one node whose gate is open"

    exporter.used = (15000.0,)
    wait_until(lambda: [gpu["gate"] for gpu in runs.status()["gpus"]] == ["Closed"], "the gate to close")
    for pod in at_work[:2]:
        end_pod(driven, pod["metadata"]["name"])
    held = wait_until(lambda: runs.condition("VRAMHeld")["status"] == "True" and runs.condition("VRAMHeld"), "the hold")
    assert held["reason"] == "VRAMHigh"
    assert "GPU 0 on node-0 at 92%; starts again below 70%" in held["message"]
    assert runs.status()["heldClips"] == 2
    assert len(runs.at_work()) == 2, "what runs goes on, and nothing starts"

    # Between its marks the gate stays closed, also for an operator that has seen nothing else.
    exporter.used = (12500.0,)
    operator.kill()
    operator.start()
    wait_until(lambda: "at 76%" in runs.condition("VRAMHeld")["message"], "the new reading to be seen", limit=30)
    assert len(runs.at_work()) == 2

    exporter.used = (8000.0,)
    at_work = runs.running(4)
    wait_until(lambda: runs.condition("VRAMHeld")["status"] == "False", "the condition to say so")
    for pod in at_work:
        end_pod(driven, pod["metadata"]["name"])
    assert runs.finished()["phase"] == "Succeeded"

    def reported() -> set[str]:
        about_run = [each for each in driven.list(EVENTS) if each["involvedObject"]["kind"] == "BenchmarkRun"]
        return {event["reason"] for event in about_run}

    wait_until(lambda: {"VRAMHeld", "VRAMReleased"} <= reported(), "the events")


def test_without_a_reading_clips_are_held_and_the_condition_says_which_node_and_why(
    definition, driven: Namespace, start_operator, exporter: Exporter
):
    start_operator(driven, "--vram-endpoint", exporter.url, "--dcgm-interval", 0)
    runs = Runs(driven)
    exporter.used = None
    runs.create(clips=2, **SPEC)
    wait_until(lambda: runs.condition("VRAMHeld")["reason"] == "VRAMUnknown", "the hold")
    assert f"GPU memory of node-0 is unknown ({exporter.url}: 500 " in runs.condition("VRAMHeld")["message"]
    assert not runs.at_work()

    exporter.used = (1000.0,)
    wait_until(lambda: len(runs.at_work()) == 2, "the clips to start when it is known")


def test_a_reading_that_has_become_stale_is_unknown_and_not_free(
    definition, driven: Namespace, start_operator, exporter: Exporter
):
    start_operator(driven, "--vram-endpoint", exporter.url, "--dcgm-interval", 0)
    runs = Runs(driven)
    runs.create(clips=6, **SPEC)
    at_work = runs.running(4)
    exporter.used = None
    wait_until(
        lambda: [gpu["used"] for gpu in runs.status()["gpus"]] == ["unknown"], "the reading to become stale", limit=30
    )
    end_pod(driven, at_work[0]["metadata"]["name"])
    wait_until(lambda: runs.condition("VRAMHeld")["reason"] == "VRAMUnknown", "the hold")
    assert "memory of GPU 0 on node-0 is unknown (the last reading is" in runs.condition("VRAMHeld")["message"]
    runs.patch(vram={"whenUnknown": "Admit"})
    wait_until(lambda: len(runs.at_work()) == 4, "clips to start all the same")


def test_clips_that_are_done_tell_of_their_gpu_while_its_exporter_is_silent(
    definition, driven: Namespace, start_operator, exporter: Exporter
):
    start_operator(driven, "--vram-endpoint", exporter.url, "--dcgm-interval", 0)
    runs = Runs(driven)
    runs.create(clips=40, **SPEC | {"workers": 1, "vram": VRAM | {"staleAfter": "8s"}})
    [first] = runs.running(1)
    exporter.used = None
    wait_until(
        lambda: [gpu["used"] for gpu in runs.status()["gpus"]] == ["unknown"], "the reading to become stale", limit=30
    )

    def end(pod: dict, used: float) -> None:
        gpu = {"uuid": "GPU-0", "usedMiB": used, "totalMiB": TOTAL_MIB, "at": time.time()}
        message = json.dumps({"clips": [{"index": 0, "exitCode": 0}], "gpu": gpu})
        end_pod(driven, pod["metadata"]["name"], End(message=message))

    end(first, 0.1 * TOTAL_MIB)
    [second] = wait_until(lambda: others(runs, first), "the next clip to start")
    assert runs.condition("VRAMHeld")["reason"] != "VRAMUnknown"
    # Somebody has taken the GPU meanwhile. What the first has measured may let more in before that is known.
    seen: dict[str, float] = {second["metadata"]["uid"]: time.monotonic()}

    def closed() -> bool:
        for pod in others(runs, first):
            # Of a clip that is done within a moment an operator need not have seen that it ran.
            if time.monotonic() - seen.setdefault(pod["metadata"]["uid"], time.monotonic()) > 2:
                end(pod, 0.9 * TOTAL_MIB)
        return [gpu["gate"] for gpu in runs.status()["gpus"]] == ["Closed"] and not others(runs, first)

    wait_until(closed, "the gate to close, and the clips before it to be done")
    held = wait_until(lambda: (found := runs.condition("VRAMHeld"))["reason"] == "VRAMHigh" and found, "the hold")
    assert "GPU 0 on node-0 at 90%; starts again below 70%" in held["message"]
    assert not runs.at_work()
    # Nobody tells any more.
    wait_until(lambda: runs.condition("VRAMHeld")["reason"] == "VRAMUnknown", "the reading to become stale", limit=30)
    assert not runs.at_work()


def others(runs: Runs, pod: dict) -> list[dict]:
    """Running pods but for one."""
    running = [each for each in runs.at_work() if each["status"]["phase"] == "Running"]
    return [each for each in running if each["metadata"]["uid"] != pod["metadata"]["uid"]]

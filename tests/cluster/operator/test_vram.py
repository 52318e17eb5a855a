"""GPU memory holds clips back and lets them go: an exporter that the test plays, on nodes with GPUs that kwok plays."""

from collections.abc import Iterator

import pytest

from helpers.cluster import Namespace
from helpers.exporters import Exporter
from helpers.kubelet import end_pod
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
    assert runs.status()["held"] == 2
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
    told = [event["reason"] for event in driven.list(EVENTS) if event["involvedObject"]["kind"] == "BenchmarkRun"]
    assert {"VRAMHeld", "VRAMReleased"} <= set(told)


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

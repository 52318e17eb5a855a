"""GPU memory holds clips back and lets them go: an exporter that the test plays, on nodes with GPUs that kwok plays."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from helpers.cluster import Namespace
from helpers.kubelet import end_pod
from helpers.local import wait_until
from helpers.operators import EVENTS, Runs

VRAM = {"high": 0.85, "low": 0.7, "checkInterval": "0.5s", "staleAfter": "4s", "perClip": "1Gi", "allocationTime": "0s"}
# Of the other nodes' GPUs nobody tells.
MEASURED = {"nodeSelector": {"kubernetes.io/hostname": "node-0"}}
SPEC = {"workers": 4, "render": {"device": "cuda", "pod": MEASURED}, "vram": VRAM}


class Exporter:
    """Serves used memory of GPU 0 of node-0, of 16 GiB."""

    def __init__(self) -> None:
        self.used: float | None = 1000.0
        """MiB; None: it answers with an error."""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if exporter.used is None:
                    self.send_error(500)
                    return
                labels = '{gpu="0",UUID="GPU-a",Hostname="node-0"}'
                free = 16384 - exporter.used
                text = f"DCGM_FI_DEV_FB_USED{labels} {exporter.used}\nDCGM_FI_DEV_FB_FREE{labels} {free}\n"
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/metrics"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter()
    yield made
    made.close()


def test_clips_are_held_above_the_upper_mark_and_start_again_below_the_lower_one(
    definition, driven: Namespace, start_operator, exporter: Exporter
):
    operator = start_operator(driven, "--vram-endpoint", exporter.url)
    runs = Runs(driven)
    runs.create(clips=6, **SPEC)
    at_work = runs.running(4)
    assert {pod["spec"]["nodeName"] for pod in at_work} == {"node-0"}, "the one node whose gate is open"

    exporter.used = 15000.0
    wait_until(lambda: runs.status()["gpus"][0]["gate"] == "Closed", "the gate to close")
    for pod in at_work[:2]:
        end_pod(driven, pod["metadata"]["name"])
    held = wait_until(lambda: runs.condition("VRAMHeld")["status"] == "True" and runs.condition("VRAMHeld"), "the hold")
    assert held["reason"] == "VRAMHigh"
    assert "GPU 0 on node-0 at 92%; starts again below 70%" in held["message"]
    assert runs.status()["held"] == 2
    assert len(runs.at_work()) == 2, "what runs goes on, and nothing starts"

    # Between its marks the gate stays closed, also for an operator that has seen nothing else.
    exporter.used = 12500.0
    operator.kill()
    operator.start()
    wait_until(lambda: "at 76%" in runs.condition("VRAMHeld")["message"], "the new reading to be seen", limit=30)
    assert len(runs.at_work()) == 2

    exporter.used = 8000.0
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
    start_operator(driven, "--vram-endpoint", exporter.url)
    runs = Runs(driven)
    exporter.used = None
    runs.create(clips=2, **SPEC)
    wait_until(lambda: runs.condition("VRAMHeld")["reason"] == "VRAMUnknown", "the hold")
    assert f"GPU memory of node-0 is unknown ({exporter.url}: 500 " in runs.condition("VRAMHeld")["message"]
    assert not runs.at_work()

    exporter.used = 1000.0
    wait_until(lambda: len(runs.at_work()) == 2, "the clips to start when it is known")


def test_a_reading_that_has_become_stale_is_unknown_and_not_free(
    definition, driven: Namespace, start_operator, exporter: Exporter
):
    start_operator(driven, "--vram-endpoint", exporter.url)
    runs = Runs(driven)
    runs.create(clips=6, **SPEC)
    at_work = runs.running(4)
    exporter.used = None
    wait_until(lambda: runs.status()["gpus"][0]["used"] == "unknown", "the reading to become stale", limit=30)
    end_pod(driven, at_work[0]["metadata"]["name"])
    wait_until(lambda: runs.condition("VRAMHeld")["reason"] == "VRAMUnknown", "the hold")
    assert "memory of GPU 0 on node-0 is unknown (the last reading is" in runs.condition("VRAMHeld")["message"]
    runs.patch(vram={"whenUnknown": "Admit"})
    wait_until(lambda: len(runs.at_work()) == 4, "clips to start all the same")

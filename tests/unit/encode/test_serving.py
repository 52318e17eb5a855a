import io
import json
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.reporting.serving import Server
from clipfarm_encode.reporting.tally import DeviceTally
from unit.encode.shared import RECIPE


@pytest.fixture
def reporter():
    made = Reporter(
        [RECIPE],
        [DeviceTally("cuda:0", peak=1e12, held=lambda: 3 * 2**30), DeviceTally("cuda:1")],
        None,
        Console(file=io.StringIO()),
    )
    made.sets[0].found(f"clip_{i:05d}" for i in range(9))
    made.sets[0].skipped(["clip_00000"])
    made.sets[0].saved("clip_00001", ours=True)
    made.sets[0].saved("clip_00002", ours=True)
    made.sets[0].failed("clip_00003", "rgb: missing")
    made.sets[0].started()
    made.sets[0].started()
    made.spent("io", 1.5)
    made.computed(0, clips=2, tokens=4096, flop=2e12, seconds=4.0)
    return made


@pytest.fixture
def get(reporter):
    server = Server(reporter, "127.0.0.1", 0)

    def read(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as response:
            return response.headers["Content-Type"], response.read().decode()

    yield read
    server.close()


def test_progress_is_what_the_log_holds(get, reporter):
    kind, body = get("/progress")
    assert kind == "application/json"
    document = json.loads(body)
    assert document["clips"] == {"found": 9, "waiting": 3, "encoding": 2, "encoded": 2, "skipped": 1, "failed": 1}
    assert document["failures"] == [{"clip": "clip_00003", "reason": "rgb: missing"}]
    assert document["devices"][0] == {
        "name": "cuda:0",
        "clips": 2,
        "batch_size": 2,
        "tokens_per_second": 1024.0,
        "model_flop_utilisation": 0.5,
        "memory_held_bytes": 3 * 2**30,
    }
    assert document["devices"][1]["model_flop_utilisation"] is None


def test_metrics_say_the_same_in_prometheus_own_format(get):
    _, body = get("/metrics")
    samples = {
        (sample.name.removeprefix("clipfarm_encode_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert (
        samples.items()
        >= {
            ("clips", "waiting"): 3,
            ("clips", "encoding"): 2,
            ("clips", "done"): 3,
            ("clips", "failed"): 1,
            ("encoded_total",): 2,
            ("stage_seconds_total", "io"): 1.5,
            ("stage_seconds_total", "encode"): 4,
            ("batch_size", "cuda:0"): 2,
            ("tokens_total", "cuda:0"): 4096,
            ("busy_seconds_total", "cuda:0"): 4,
            ("memory_held_bytes", "cuda:0"): 3 * 2**30,
            ("model_flop_utilisation", "cuda:0"): 0.5,
        }.items()
    )
    assert ("model_flop_utilisation", "cuda:1") not in samples


def test_other_pages_are_not_found(get):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get("/")

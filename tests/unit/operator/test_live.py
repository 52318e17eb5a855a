"""A run as the page shows it, of this machine and of a cluster."""

import contextlib
import threading
import urllib.error
import urllib.request

import pytest

from clipfarm.cluster.process import page
from clipfarm.live import local_page, serving
from clipfarm.live.local_clips import LocalClips
from clipfarm.live.local_page import served
from clipfarm.live.local_run import run_now
from clipfarm.world import WatermarkState
from helpers.clips import give_features, make_clips
from helpers.runs import GPU0, GPU1, document


@pytest.fixture
def status():
    from dataclasses import replace

    from clipfarm.decide.plan import decide
    from helpers.runs import make_run, make_world

    run = make_run(3, workers=2)
    return replace(decide(run, make_world(run)).status, clips_per_hour=120.0, eta_seconds=90.0)


def test_a_run_on_this_machine_has_its_numbers(status):
    found = run_now("friction", status, 100.0, encodes=False)
    assert (found["name"], found["total"], found["rendered"], found["encoded"]) == ("friction", 3, 0, None)
    assert (found["clipsPerHour"], found["eta"], found["running"], found["workers"]) == (120.0, "1m 30s", 2, 2)
    assert run_now("friction", status, 100.0, encodes=True)["encoded"] == 0


def test_an_unknown_reading_is_not_zero(status):
    from dataclasses import replace

    from clipfarm.world import Reading

    states = (
        WatermarkState(GPU0, closed=True, reading=Reading(GPU0, 8704, 10240, 97.0)),
        WatermarkState(GPU1, closed=False, reading=None, problem="no reading yet"),
    )
    first, second = run_now("run", replace(status, watermarks=states), 100.0, encodes=True)["gpus"]
    assert first == {
        "name": "GPU 0 on here", "used": 0.85, "total": "10.0 GiB", "note": "measured 3s ago", "closed": True,
    }  # fmt: skip
    assert (second["used"], second["note"], second["total"]) == (None, "no reading yet", "")


def cluster_run(**status):
    made = document(5, encode={"enabled": True})
    made["metadata"]["namespace"] = "lab"
    return made | ({"status": {"observedGeneration": 1} | status} if status else {})


def test_a_run_in_a_cluster_is_what_its_status_says():
    gpus = [
        {
            "node": "a",
            "gpu": "0",
            "used": "84%",
            "total": "9.8 GiB",
            "reading": "3s old",
            "gate": "Closed",
            "heldBy": "x",
        },
        {"node": "a", "gpu": "1", "used": "unknown", "reading": "no reading", "gate": "Open"},
    ]
    held = [{"reason": "VRAMHigh", "clips": "3-4", "count": 2, "message": "GPU 0 is at 84 %"}]
    found = page.run_now(
        cluster_run(
            phase="Running", total=5, rendered=2, encoded=1, failed=0, running=1, retried=0, gpus=gpus, held=held
        ),
        360.0,
    )
    assert (found["name"], found["namespace"], found["finished"]) == ("test", "lab", False)
    assert (found["total"], found["rendered"], found["encoded"], found["clipsPerHour"]) == (5, 2, 1, 360.0)
    assert found["held"] == held
    assert [gpu["used"] for gpu in found["gpus"]] == [0.84, None]
    assert [gpu["closed"] for gpu in found["gpus"]] == [True, False]


def test_a_run_that_no_operator_has_seen_is_shown_too():
    found = page.run_now(cluster_run(), None)
    assert (found["phase"], found["rendered"], found["held"], found["gpus"]) == ("Pending", 0, [], [])


def test_the_message_of_a_run_is_what_keeps_it_and_not_what_failed():
    conditions = [{"type": "Ready", "status": "False", "reason": "Stuck", "message": "no claim named clips"}]
    failures = [{"clips": "1", "stage": "render", "reason": "boom"}]
    found = page.run_now(cluster_run(phase="Waiting", conditions=conditions, failures=failures), None)
    assert found["message"] == "no claim named clips"
    assert found["failures"] == failures


def test_clips_are_read_in_parts_and_features_that_come_later_are_seen(tmp_path, monkeypatch):
    import numpy as np

    from clipfarm.live import local_clips

    monkeypatch.setattr(local_clips, "MOST_AT_ONCE", 2)
    run = make_clips(tmp_path, frames=2, pictures=False, A=3)
    clips = LocalClips(run)
    first, second = clips.table(), clips.table()
    assert (first["index"], first["more"]) == ([0, 1], True)
    assert (second["index"], second["more"]) == ([0, 1, 2], False)
    assert len(second["finished"]) == 3
    give_features(run.clip(1), "m", np.zeros((1, 1, 1), np.float16))
    [column] = [column for column in clips.table()["columns"] if column["name"] == "features"]
    assert [column["levels"][value] for value in column["values"]] == ["none", "m", "none"]
    assert set(clips.truths(0)) == {"0", "1", "2"}
    assert clips.truths(1) == {}


def test_each_feature_set_is_seen_when_it_comes_also_behind_clips_that_get_none(tmp_path, monkeypatch):
    import numpy as np

    from clipfarm.live import local_clips

    monkeypatch.setattr(local_clips, "MOST_AT_ONCE", 2)
    run = make_clips(tmp_path, frames=2, pictures=False, A=5)
    clips = LocalClips(run, 2)
    for _ in range(3):
        clips.table()

    def shown() -> list[str]:
        for _ in range(2):
            clips.table()
        [column] = [column for column in clips.table()["columns"] if column["name"] == "features"]
        return [column["levels"][value] for value in column["values"]]

    for name, expected in (("frames", "frames"), ("means", "frames, means")):
        give_features(run.clip(4), name, np.zeros((1, 1, 1), np.float16))
        assert shown() == ["none", "none", "none", "none", expected]


def test_a_damaged_clip_is_read_again_until_it_is_well(tmp_path):
    run = make_clips(tmp_path, frames=2, pictures=False, A=1)
    well = run.clip(0).ground_truth.read_text()
    run.clip(0).ground_truth.write_text("{")
    clips = LocalClips(run)
    assert [each["reason"] for each in clips.table()["failures"]] == ["ground_truth.json: not JSON"]
    run.clip(0).ground_truth.write_text(well)
    assert (clips.table()["index"], clips.table()["failures"]) == ([0], [])


class Nothing:
    """A source without anything."""

    def runs(self):
        return []

    def table(self):
        return {"name": "none"} | page.EMPTY

    def truths(self, number):
        return {}

    def strip(self, index):
        return None

    def file(self, index, name):
        return None


def asked(address, host):
    request = urllib.request.Request(address + "live.json", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:8082", 200), ("evil.example", 403), ("evil.example:80", 403),
     ("localhost.evil.example", 403)],
)  # fmt: skip
def test_only_this_machines_names_are_answered(host, status):
    with served(Nothing(), "127.0.0.1", 0) as address:
        assert asked(address, host) == status


def test_an_address_that_others_reach_answers_to_any_name():
    with served(Nothing(), "0.0.0.0", 0) as address:
        assert asked(address.replace("0.0.0.0", "127.0.0.1"), "clips.lab") == 200


def test_nothing_of_the_server_stays():
    before = threading.active_count()
    with served(Nothing(), "127.0.0.1", 0):
        pass
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("host", "here"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("lab", False)]
)
def test_what_counts_as_this_machine(host, here):
    assert serving.is_loopback(host) == here


def test_a_run_ends_well_while_an_answer_is_under_way(monkeypatch):
    asked_for, end = threading.Event(), threading.Event()

    class Slow(Nothing):
        def runs(self):
            asked_for.set()
            end.wait(10)
            return []

    def read(address):
        with contextlib.suppress(OSError):  # the connection ends with the run
            asked(address, "localhost")

    monkeypatch.setattr(local_page, "END_SECONDS", 0.1)
    with served(Slow(), "127.0.0.1", 0) as address:
        reader = threading.Thread(target=read, args=(address,))
        reader.start()
        assert asked_for.wait(10)
    end.set()
    reader.join(10)
    assert not reader.is_alive()

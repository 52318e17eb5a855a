import pytest

from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.reporting.summary import OLD_SECONDS, counters, lines, phase, unattended
from clipfarm.run_status import UNSEEN

WALL = 1_800_000_000.0


def finished(attempt=None, encode_attempt=None, told=None, encode_told=None):
    """A run that has ended, what its annotations ask for, and of which attempts its status tells."""
    asked = {"clipfarm.dev/attempt": attempt, "clipfarm.dev/encode-attempt": encode_attempt}
    status = {
        "phase": "CompletedWithFailures", "total": 2, "rendered": 1, "encoded": 1, "failed": 1, "running": 0,
        "held": 0, "retried": 0, "renderAttempt": told, "encodeAttempt": encode_told,
        "failures": [{"stage": "render", "clips": "1", "reason": "exit status 1"}],
    }  # fmt: skip
    return {
        "metadata": {"name": "run", "annotations": {name: text for name, text in asked.items() if text}},
        "spec": {"encode": {"enabled": True}},
        "status": {name: value for name, value in status.items() if value is not None},
    }


@pytest.mark.parametrize(
    ("run", "stands"),
    [
        (finished(), "CompletedWithFailures"),
        (finished("2"), "Pending"),
        (finished("2", told="2"), "CompletedWithFailures"),
        (finished("3", told="2"), "Pending"),
        (finished(encode_attempt="2"), "Pending"),
        (finished(encode_attempt="2", encode_told="2"), "CompletedWithFailures"),
        (finished("2", "2", told="2"), "Pending"),
    ],
)
def test_a_status_of_an_earlier_attempt_does_not_say_where_a_run_stands(run, stands):
    assert phase(run) == stands


@pytest.mark.parametrize("held", [{"held": 3}, {"held": [{"reason": "VRAMHigh"}], "heldClips": 3}])
def test_clips_that_are_held_are_counted_also_where_an_earlier_version_wrote_it(held):
    run = finished()
    run["status"] |= held
    assert "held 3" in counters(run)


def test_of_a_run_of_videos_no_renderer_is_counted():
    run = finished()
    run["spec"] |= {"source": {"videos": {"folder": "lab"}}}
    del run["status"]["rendered"]
    assert counters(run) == "encoded 1/2, failed 1"


def test_another_attempt_that_nobody_has_taken_up_is_said_to_be_so():
    run = finished("2")
    assert counters(run) == "another attempt was asked for; no operator has seen it yet"
    assert list(lines(run, WALL)) == [f"run: Pending: {counters(run)}"]


def test_failures_are_told_of_the_attempt_that_was_asked_for():
    assert list(lines(finished("2", told="2"), WALL)) == [
        "run: CompletedWithFailures: rendered 1/2, encoded 1/2, failed 1, running 0",
        "  failed to render: clips 1: exit status 1",
    ]


def unfinished(age, phase="Running", generation=1, observed=1):
    """A run whose status was written ``age`` seconds ago; None: by an operator that does not say when."""
    at = {} if age is None else {"observedAt": api_time(WALL - age)}
    counters = dict.fromkeys(("total", "rendered", "encoded", "failed", "running", "held", "retried"), 0)
    return {
        "metadata": {"name": "run", "generation": generation},
        "spec": {"encode": {"enabled": False}},
        "status": counters | {"phase": phase, "observedGeneration": observed} | at,
    }


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (unfinished(0), ""),
        (unfinished(OLD_SECONDS), ""),
        (unfinished(OLD_SECONDS + 60), "this is 6m 00s old: no operator has refreshed it since"),
        (unfinished(OLD_SECONDS + 60, "Suspended"), "this is 6m 00s old"),
        (unfinished(-3600), ""),  # the operator's clock is ahead
        (unfinished(None), ""),  # unknown is not old
        (unfinished(OLD_SECONDS + 60, "Succeeded"), ""),
        (unfinished(OLD_SECONDS + 60, "Invalid"), ""),
        (unfinished(0, generation=2), "the run has changed since; no operator has looked at the change yet"),
        (unfinished(0, "Succeeded", generation=2), "the run has changed since"),
    ],
)
def test_a_status_that_no_operator_has_refreshed_is_said_to_be_old(run, said):
    found = list(unattended(run, WALL))
    assert bool(found) is bool(said)
    assert all(line.startswith(f"  {said}") for line in found)
    assert set(found) <= set(lines(run, WALL))


def test_a_run_that_has_the_definitions_default_status_was_not_seen():
    run = {"metadata": {"name": "run", "generation": 1}, "spec": {"encode": {}}, "status": UNSEEN}
    assert list(lines(run, WALL)) == ["run: Pending: no operator has seen it yet"]


def test_the_reason_that_a_run_waits_for_is_shown_with_its_word_and_once():
    entry = {"status": "False", "reason": "PodsRefused", "message": "exceeded quota: q"}
    run = unfinished(0)
    run["status"]["conditions"] = [entry | {"type": kind} for kind in ("Ready", "Progressing")]
    assert list(lines(run, WALL))[1:] == ["  waits (PodsRefused): exceeded quota: q"]

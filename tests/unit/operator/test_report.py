import pytest

from clipfarm.cluster.report import counters, lines, phase


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


def test_another_attempt_that_nobody_has_taken_up_is_said_to_be_so():
    run = finished("2")
    assert counters(run) == "another attempt was asked for; no operator has looked at it yet"
    assert list(lines(run)) == [f"run: Pending: {counters(run)}"]


def test_failures_are_told_of_the_attempt_that_was_asked_for():
    assert list(lines(finished("2", told="2"))) == [
        "run: CompletedWithFailures: rendered 1/2, encoded 1/2, failed 1, running 0",
        "  failed to render: clips 1: exit status 1",
    ]

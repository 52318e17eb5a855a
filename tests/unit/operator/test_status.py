"""What a run looks like from outside, and when encoders should be at work."""

import pytest

from clipfarm.decide.plan import decide
from clipfarm.world import Encoding, Ended, Running
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import NODE, make_run, make_world

ENCODE = {"encode": {"weights": {"source": "random"}}}
BAD = Ended(0, ExitCode.FAILED, "was black", 900.0, 1)
RUNNING = (Running(3, NODE, None, 990.0),)


def encoding(encoded=0, running=0, failed=(), stuck=""):
    return Encoding(running, encoded, dict.fromkeys(failed, "truncated"), stuck)


# encode, world, phase, encoders, no more clips
TABLE = [
    ({}, {"rendered": 0}, "Running", 0, False),
    ({}, {"rendered": 3, "waiting": (), "running": RUNNING}, "Running", 0, False),
    ({}, {"rendered": 4, "waiting": ()}, "Succeeded", 0, True),
    ({}, {"rendered": 3, "waiting": (), "ended": (BAD,)}, "CompletedWithFailures", 0, True),
    ({}, {"rendered": 0, "waiting": (), "ended": tuple(Ended(i, ExitCode.FAILED, "x", 0, 1) for i in range(4))},
     "Failed", 0, True),
    ({}, {"rendered": 1, "ended": (Ended(0, ExitCode.USAGE, "no such device", 0, 1),)}, "Failed", 0, True),
    ({"suspend": True}, {"rendered": 1}, "Suspended", 0, False),
    ({"suspend": True}, {"rendered": 1, "running": RUNNING}, "Running", 0, False),
    ({"suspend": True}, {"rendered": 4, "waiting": ()}, "Succeeded", 0, True),
    (ENCODE, {"rendered": 0}, "Running", 0, False),
    (ENCODE, {"rendered": 1}, "Running", 1, False),
    (ENCODE, {"rendered": 1, "encoding": encoding(1)}, "Running", 0, False),
    (ENCODE, {"rendered": 1, "encoding": encoding(1, running=1)}, "Running", 1, False),
    (ENCODE, {"rendered": 4, "waiting": (), "encoding": encoding(2, running=1)}, "Encoding", 1, True),
    (ENCODE, {"rendered": 4, "waiting": (), "encoding": encoding(4, running=1)}, "Succeeded", 0, True),
    (ENCODE, {"rendered": 4, "waiting": (), "encoding": encoding(3, failed=[2])}, "CompletedWithFailures", 0, True),
    (ENCODE, {"rendered": 4, "waiting": (), "encoding": encoding(1, stuck="no weights")},
     "CompletedWithFailures", 0, True),
    (ENCODE, {"rendered": 1, "encoding": encoding(0, stuck="no weights")}, "Running", 0, False),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "world", "phase", "encoders", "finished"), TABLE)
def test_phase_and_encoders_follow_from_the_counters(spec, world, phase, encoders, finished):
    run = make_run(clips=4, **spec)
    plan = decide(run, make_world(run, **({"waiting": (1, 2)} | world)))
    assert (plan.status.phase, plan.encoders, plan.no_more_clips) == (phase, encoders, finished)


def test_the_window_tells_pace_and_time_left_and_a_stall_shows():
    run = make_run(clips=100, workers=1)
    world = make_world(run, rendered=10, waiting=(11,), completions=tuple(range(900, 1000, 10)), now=1000.0)
    status = decide(run, world).status
    assert status.clips_per_hour == pytest.approx(9 / 100 * 3600)
    assert status.eta_seconds == pytest.approx(90 / (9 / 100))
    later = make_world(run, rendered=10, waiting=(11,), completions=tuple(range(900, 1000, 10)), now=1900.0)
    assert decide(run, later).status.eta_seconds == pytest.approx(90 / (9 / 1000))


def test_nothing_is_said_of_the_time_left_before_two_clips_are_done():
    run = make_run(clips=100)
    assert decide(run, make_world(run, rendered=1, completions=(999.0,))).status.eta_seconds is None


def test_the_slower_stage_decides_when_it_will_be_done():
    run = make_run(clips=20, **ENCODE)
    world = make_world(run, rendered=10, waiting=(11,), encoding=encoding(2, running=1),
                       completions=(980.0, 990.0), encode_completions=(900.0, 950.0), now=1000.0)  # fmt: skip
    assert decide(run, world).status.eta_seconds == pytest.approx(max(10 / (1 / 20), 18 / (1 / 100)))


def test_failures_name_clip_stage_and_reason():
    run = make_run(clips=4, **ENCODE)
    world = make_world(run, rendered=3, waiting=(), ended=(BAD,), encoding=encoding(2, failed=[2]))
    assert [(f.clip, f.stage, f.reason) for f in decide(run, world).status.failures] == [
        (0, "render", "was black"),
        (2, "encode", "truncated"),
    ]

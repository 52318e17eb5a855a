"""What a run looks like from outside, and when encoders should be at work."""

import pytest

from clipfarm.decide import encoding as encoding_rules
from clipfarm.decide.plan import decide
from clipfarm.world import EarlyEnd, Encoding, Ended, Running, Standing
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import NODE, make_run, make_world

ENCODE = {"encode": {"weights": {"source": "random"}}}
BAD = Ended(0, ExitCode.FAILED, "was black", 900.0, 1)
RUNNING = (Running(3, NODE, None, 990.0),)


def encoding(encoded=0, running=0, failed=(), ends=()):
    ended = tuple(EarlyEnd(s, "why") for s in ends)
    heard = {"asked": running, "answering": running, "left": 0 if running else None}
    return Encoding(running, encoded, dict.fromkeys(failed, "truncated"), ended, **heard)


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
    (ENCODE, {"rendered": 4, "waiting": (), "encoding": encoding(1, ends=[2])},
     "CompletedWithFailures", 0, True),
    (ENCODE, {"rendered": 1, "encoding": encoding(0, ends=[2])}, "Running", 0, False),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "world", "phase", "encoders", "finished"), TABLE)
def test_phase_and_encoders_follow_from_the_counters(spec, world, phase, encoders, finished):
    run = make_run(clips=4, **spec)
    plan = decide(run, make_world(run, **({"waiting": (1, 2)} | world)))
    assert (plan.status.phase, plan.encoders, plan.no_more_clips) == (phase, encoders, finished)


def test_a_failure_keeps_which_clips_of_its_block_failed_and_how_many_are_complete():
    named = ((3, "was black"), (4, "never moved"))
    block = Ended(1, ExitCode.FAILED, "was black; never moved", 900.0, 1, final=True, clips=2, named=named, done=1)
    [failure] = decide(make_run(clips=9), make_world(make_run(clips=9), ended=(block,))).status.failures
    assert (failure.named, failure.done) == (named, 1)


# start of the window and completions, now, clips made at once, clips left; seconds that they take
PACES = [
    ((0,), 50, 2, 3, None),  # nothing is done yet
    ((0, 50, 50), 50, 2, 3, 75),  # two at once in 50 s: one in 25
    ((0, 50, 50), 60, 2, 3, 65),  # 10 s later the next two are 10 s nearer
    ((0, 50, 50), 100, 2, 3, 25),
    ((0, 50, 50), 150, 2, 3, 3 * 50 - 50),  # 50 s later than usual: a stall, and the pace says so
    ((0, 10, 20, 30, 40), 40, 1, 5, 50),
    ((0, 10, 20, 30, 40), 1000, 1, 5, 5 * (40 + 950) / 4 - 10),
]


@pytest.mark.parametrize(("completions", "now", "at_once", "left", "seconds"), PACES)
def test_the_window_tells_the_time_left_and_a_stall_shows(completions, now, at_once, left, seconds):
    run = make_run(clips=100, workers=at_once)
    world = make_world(run, rendered=100 - left, completions=completions, now=now, running=RUNNING, waiting=())
    status = decide(run, world).status
    assert status.eta_seconds == (None if seconds is None else pytest.approx(seconds))
    assert (status.clips_per_hour is None) == (seconds is None)


def test_the_slower_stage_decides_when_it_will_be_done():
    run = make_run(clips=20, workers=1, encode={"weights": {"source": "random"}, "batchSize": 1})
    world = make_world(run, rendered=10, waiting=(11,), encoding=encoding(2, running=1),
                       completions=(980.0, 1000.0), encode_completions=(900.0, 1000.0), now=1000.0)  # fmt: skip
    assert decide(run, world).status.eta_seconds == pytest.approx(max(10 * 20, 18 * 100))


STARTING = (Running(3, NODE, None, None, standing=Standing("Starting", 990.0)),)
STANDING = (Running(3, NODE, None, None, standing=Standing("Released", 900.0, "Unschedulable", "0/3 nodes fit")),)
ENCODED_SOME = {"encoding": encoding(2), "encode_completions": (900.0, 1000.0)}


@pytest.mark.parametrize(
    ("spec", "world", "known"),
    [
        ({}, {"running": RUNNING}, True),
        ({}, {"running": STARTING}, True),
        ({}, {"running": STANDING + RUNNING}, True),
        ({}, {"waiting": (1,)}, True),  # it starts now
        ({}, {}, False),
        ({}, {"running": STANDING}, False),
        ({"suspend": True}, {}, False),
        ({"suspend": True}, {"running": RUNNING}, False),  # those that run end, and none comes after them
        (ENCODE, {"running": RUNNING} | ENCODED_SOME, True),
        (ENCODE, {"rendered": 20} | ENCODED_SOME, False),
        (ENCODE, {"rendered": 20} | ENCODED_SOME | {"encoding": encoding(2, running=1)}, True),
        ({}, {"rendered": 20}, True),
    ],
)
def test_the_time_left_is_unknown_while_nothing_is_at_work(spec, world, known):
    run = make_run(clips=20, workers=2, **spec)
    base = {"rendered": 10, "waiting": (), "completions": (980.0, 1000.0)}
    assert (decide(run, make_world(run, **(base | world))).status.eta_seconds is not None) is known


OUT_OF_VRAM = tuple(Ended(clip, ExitCode.OUT_OF_VRAM, "out of GPU memory", 990.0, 1) for clip in (7, 8))


@pytest.mark.parametrize(
    ("spec", "world", "seconds"),
    [
        ({}, {}, 20 + 20),  # it starts again 30 s after it ended, and then two clips take 20 s
        ({}, {"running": RUNNING}, 20),
        ({"suspend": True}, {}, None),
        ({"workers": 3}, {"waiting": (5,), "free_bytes": 0, "clip_bytes": 1}, None),  # another has no such time
    ],
)
def test_the_time_left_begins_when_a_rule_says_that_its_hold_ends(spec, world, seconds):
    run = make_run(clips=10, **({"workers": 2} | spec))
    base = {"rendered": 8, "waiting": (), "ended": OUT_OF_VRAM, "completions": (980.0, 990.0, 1000.0)}
    assert decide(run, make_world(run, **(base | world))).status.eta_seconds == seconds


def test_failures_name_clip_stage_and_reason():
    run = make_run(clips=4, **ENCODE)
    world = make_world(run, rendered=3, waiting=(), ended=(BAD,), encoding=encoding(2, failed=[2]))
    assert [(f.clip, f.stage, f.reason) for f in decide(run, world).status.failures] == [
        (0, "render", "was black"),
        (2, "encode", "truncated"),
    ]


@pytest.mark.parametrize(
    ("ends", "stuck"),
    [
        ([], ""),
        ([1], ""),
        ([-9, 1], ""),
        ([-9, 1, -11], "the encoder was killed by signal 11: why"),
        ([1, 1, 1], "the encoder ended with 1: why"),
        ([2], "the encoder ended with 2: why"),
        ([0, 0, 0], "the encoder ended with 0: why"),
    ],
)
def test_an_encoder_that_ends_early_is_started_again_but_not_for_ever(ends, stuck):
    assert encoding_rules.stuck(encoding(ends=ends)) == stuck


def test_encoders_count_clips_where_pods_make_blocks_of_them():
    run = make_run(100, encode={"weights": {"source": "random"}})
    blocks = {"total": 10, "rendered": 5, "block": 10, "complete_clips": 57}
    behind = decide(run, make_world(run, **blocks, encoding=Encoding(running=1, encoded=50)))
    assert behind.encoders == 1
    done = make_world(run, total=10, rendered=10, block=10, complete_clips=100, encoding=Encoding(encoded=100))
    assert decide(run, done).status.phase == "Succeeded"
    assert decide(run, done).encoders == 0

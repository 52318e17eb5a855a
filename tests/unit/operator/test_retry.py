import pytest

from clipfarm.decide.plan import decide
from clipfarm.decide.retry import Again, judge, stop
from clipfarm.retry import Retry
from clipfarm.world import Ended, Running
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import make_run, make_world


def ended(clip, code, attempts=1, at=1000.0):
    return Ended(clip, code, "reason", at, attempts)


@pytest.mark.parametrize(
    ("code", "attempts", "limit", "again"),
    [
        (ExitCode.OUT_OF_VRAM, 1, 1, True),
        (ExitCode.OUT_OF_VRAM, 2, 1, False),
        (ExitCode.OUT_OF_VRAM, 1, 0, False),
        (ExitCode.OUT_OF_VRAM, 3, 3, True),
        (ExitCode.GAVE_UP, 1, 1, True),
        (ExitCode.GAVE_UP, 2, 1, False),
        (ExitCode.GAVE_UP, 1, 0, False),
        (ExitCode.BROKE_OFF, 1, 1, True),
        (ExitCode.BROKE_OFF, 9, 1, True),  # it has counted by clip
        (ExitCode.FAILED, 1, 5, False),
        (ExitCode.USAGE, 1, 5, False),
        (ExitCode.OK, 1, 5, False),  # ended with 0 and left no clip
    ],
)
def test_only_gpu_memory_that_ran_out_and_blocks_that_were_given_up_are_tried_again_and_only_so_often(
    code, attempts, limit, again
):
    outcome = judge(Retry(limit=limit), [ended(7, code, attempts)])
    assert [entry.index for entry in outcome.again] == ([7] if again else [])
    assert [entry.index for entry in outcome.failed] == ([] if again else [7])


def test_a_clip_that_ran_out_of_gpu_memory_is_due_30_seconds_after_it_ended():
    assert judge(Retry(), [ended(7, ExitCode.OUT_OF_VRAM)]).again == (Again(7, due=1030.0),)


def test_clips_are_due_in_the_order_in_which_they_ended():
    ends = [ended(1, ExitCode.OUT_OF_VRAM, at=1009.0), ended(2, ExitCode.OUT_OF_VRAM, at=1003.0)]
    assert [entry.index for entry in judge(Retry(), ends).again] == [2, 1]


def test_a_usage_error_is_fatal_because_every_clip_would_end_so():
    outcome = judge(Retry(), [Ended(3, ExitCode.USAGE, "no such device", 1000.0, 1)])
    assert outcome.fatal == "the renderer refuses the run: no such device"
    assert not judge(Retry(), [ended(3, ExitCode.FAILED)]).fatal


def test_a_clip_that_somebody_else_has_given_up_is_not_tried_again():
    for code in (ExitCode.OUT_OF_VRAM, ExitCode.BROKE_OFF):
        given_up = Ended(7, code, "reason", 1000.0, attempts=1, final=True)
        assert judge(Retry(limit=5), [given_up]).failed == (given_up,)


def failures(count, reason="no such bean", clips=1):
    return tuple(Ended(clip, ExitCode.FAILED, reason, 1000.0, 1, final=True, clips=clips) for clip in range(count))


def gave_up(count, reason="no such bean"):
    blocks = range(50, 50 + count)
    return tuple(Ended(block, ExitCode.GAVE_UP, reason, 1000.0, 1, clips=3) for block in blocks)


STOPS = {
    # failed clips, what else is so, retry.stopAfter; whether the run ends
    "twenty that fail alike": (failures(20), {}, 20, True),
    "nineteen": (failures(19), {}, 20, False),
    "twenty after one that is complete": (failures(20), {"rendered": 1}, 20, False),
    "twenty where all that is complete was so before": (failures(20), {"rendered": 5, "complete_before": 5}, 20, True),
    "twenty where a block that failed has made some": (failures(20), {"complete_clips": 2}, 20, False),
    "twenty, and others that fail otherwise": (
        (*failures(20), Ended(30, ExitCode.FAILED, "was black", 1000.0, 1)), {}, 20, True,
    ),
    "ten and ten": ((*failures(10), *failures(10, "was black")), {}, 20, False),
    "five pods that make four clips each": (failures(5, clips=4), {}, 20, True),
    "twenty pods whose reason is gone": (failures(20, clips=0), {}, 20, False),
    "a thousand of a run that is to try all": (failures(90), {}, 0, False),
    "one of a run that has no patience": (failures(1), {}, 1, True),
    "seven blocks that were given up after three clips": ((), {"gave_up": gave_up(7)}, 20, True),
    "six of them": ((), {"gave_up": gave_up(6)}, 20, False),
    "six of them, and two clips": (failures(2), {"gave_up": gave_up(6)}, 20, True),
    "seven of them after a clip that is complete": ((), {"gave_up": gave_up(7), "complete_clips": 1}, 20, False),
    "twenty that are tried again": (tuple(ended(i, ExitCode.OUT_OF_VRAM) for i in range(20)), {}, 20, False),
}  # fmt: skip


@pytest.mark.parametrize("case", STOPS)
def test_a_run_whose_clips_all_fail_alike_ends(case):
    ends, rest, stop_after, stops = STOPS[case]
    run = make_run(clips=100, retry={"stopAfter": stop_after})
    plan = decide(run, make_world(run, ended=ends, **rest))
    assert plan.status.finished is stops
    if stops:
        assert (plan.status.phase, plan.start, plan.no_more_clips) == ("Failed", (), True)
        failed = "a clip failed" if stop_after == 1 else f"{stop_after} clips failed alike"
        assert plan.status.stuck == f"{failed} before the first was complete (retry.stopAfter): no such bean"
    else:
        assert (plan.status.phase, bool(plan.start)) == ("Running", True)


def test_blocks_that_were_given_up_have_failed_once_the_run_ends_but_for_those_that_run():
    run = make_run(clips=100)
    waits = Ended(50, ExitCode.GAVE_UP, "no such bean", 1000.0, 1)
    running = (Running(51, "here", None, 990.0),)
    world = make_world(run, gave_up=gave_up(7), ended=(waits,), running=running)
    outcome = stop(run.spec.retry, world, judge(run.spec.retry, world.ended))
    assert outcome.fatal
    assert not outcome.again
    assert [end.index for end in outcome.failed] == [50, 52, 53, 54, 55, 56]


def test_a_run_that_has_ended_so_stays_ended_when_its_pods_are_gone():
    run = make_run(clips=100)
    status = decide(run, make_world(run, ended=failures(20, clips=0), fatal="20 clips failed alike: no bean")).status
    assert (status.phase, status.stuck) == ("Failed", "20 clips failed alike: no bean")


ADVICE = "; clipfarm knows it here, so the renderer's image is older: use images of one version"


@pytest.mark.parametrize(
    ("reason", "is_of_an_older_image"),
    [
        ('experiment.name: found "drop", expected push', True),
        ('experiment.name: found "slide", expected push, drop or stack', True),
        ('clip 0: failed (64): experiment.name: found "drop", expected push', True),
        ("experiment.module: unknown field", True),
        ("experiment.phases[0].factors.spin: unknown factor of push, expected size", True),
        ("experiment.factors.sped: unknown factor of slide (did you mean speed?)", False),
        ("experiment.module: slide.py, line 3: NameError: name 'x' is not defined", False),
        ('experiment.objects: found "egg", expected an asset of /a.json', False),
        ("--clips: found x", False),
    ],
)
def test_a_renderer_that_does_not_know_what_was_checked_before_is_older(reason, is_of_an_older_image):
    found = judge(Retry(), [Ended(0, ExitCode.USAGE, reason, 1000.0, 1)]).fatal
    assert found == f"the renderer refuses the run: {reason}{ADVICE if is_of_an_older_image else ''}"

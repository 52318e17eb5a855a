import pytest

from clipfarm.decide.retry import Again, judge
from clipfarm.run import Retry
from clipfarm.world import Ended
from clipfarm_contract.exit_codes import ExitCode


def ended(clip, code, attempts=1, at=1000.0):
    return Ended(clip, code, "reason", at, attempts)


@pytest.mark.parametrize(
    ("code", "attempts", "limit", "again"),
    [
        (ExitCode.OUT_OF_VRAM, 1, 1, True),
        (ExitCode.OUT_OF_VRAM, 2, 1, False),
        (ExitCode.OUT_OF_VRAM, 1, 0, False),
        (ExitCode.OUT_OF_VRAM, 3, 3, True),
        (ExitCode.FAILED, 1, 5, False),
        (ExitCode.USAGE, 1, 5, False),
        (ExitCode.OK, 1, 5, False),  # ended with 0 and left no clip
    ],
)
def test_only_gpu_memory_that_ran_out_is_tried_again_and_only_so_often(code, attempts, limit, again):
    outcome = judge(Retry(limit=limit), [ended(7, code, attempts)])
    assert [entry.clip for entry in outcome.again] == ([7] if again else [])
    assert [entry.clip for entry in outcome.failed] == ([] if again else [7])


def test_a_clip_that_ran_out_of_gpu_memory_is_due_30_seconds_after_it_ended():
    assert judge(Retry(), [ended(7, ExitCode.OUT_OF_VRAM)]).again == (Again(7, due=1030.0),)


def test_clips_are_due_in_the_order_in_which_they_ended():
    ends = [ended(1, ExitCode.OUT_OF_VRAM, at=1009.0), ended(2, ExitCode.OUT_OF_VRAM, at=1003.0)]
    assert [entry.clip for entry in judge(Retry(), ends).again] == [2, 1]


def test_a_usage_error_is_fatal_because_every_clip_would_end_so():
    outcome = judge(Retry(), [Ended(3, ExitCode.USAGE, "no such device", 1000.0, 1)])
    assert outcome.fatal == "the renderer refuses the run: no such device"
    assert not judge(Retry(), [ended(3, ExitCode.FAILED)]).fatal


def test_a_clip_that_somebody_else_has_given_up_is_not_tried_again():
    given_up = Ended(7, ExitCode.OUT_OF_VRAM, "reason", 1000.0, attempts=1, final=True)
    assert judge(Retry(limit=5), [given_up]).failed == (given_up,)

"""How old an exporter's values may be, by when they change."""

from dataclasses import replace

from clipfarm.vram.lag import LagTracker
from helpers.runs import GPU0, GPU1, reading


def lags(*answers, lag=30.0):
    """Return the lag of the first GPU after each answer: (time, used parts of two GPUs)."""
    tracker, found = LagTracker(), []
    for at, used in answers:
        told = [replace(reading(gpu, part, at=at), lag=lag) for gpu, part in zip((GPU0, GPU1), used, strict=False)]
        found.append(tracker.narrow(told)[0].lag)
    return found


def test_values_that_changed_are_of_after_the_last_answer_and_then_grow_older():
    assert lags((0, (0.1, 0.1)), (5, (0.2, 0.1)), (10, (0.2, 0.1)), (50, (0.2, 0.1))) == [30.0, 5.0, 10.0, 30.0]


def test_one_gpu_that_changes_tells_of_all_of_them():
    assert lags((0, (0.1, 0.1)), (5, (0.1, 0.3)), (10, (0.1, 0.3))) == [30.0, 5.0, 10.0]


def test_who_was_silent_may_have_collected_at_any_time_since_its_last_answer():
    assert lags((0, (0.1,)), (20, (0.2,)), (22, (0.3,))) == [30.0, 20.0, 2.0]


def test_a_gpu_that_is_new_tells_nothing_of_time():
    assert lags((0, (0.1,)), (5, (0.1, 0.5))) == [30.0, 30.0]


def test_values_with_an_age_of_their_own_have_no_lag():
    assert lags((0, (0.1,)), (5, (0.2,)), lag=0.0) == [0.0, 0.0]


def test_an_empty_answer_changes_nothing():
    assert LagTracker().narrow([]) == ()

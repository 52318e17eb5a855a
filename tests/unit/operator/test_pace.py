"""The Jobs of all runs together get pods no faster than the API server carries."""

import pytest

from clipfarm.cluster.acting.pace import (
    AT_ONCE_SECONDS,
    FAST_SECONDS,
    FIRST_PER_SECOND,
    LEAST_PER_SECOND,
    MOST_PER_SECOND,
    PART,
    SLOW_SECONDS,
    STEP_PER_SECOND,
    WHILE_SECONDS,
    Pace,
)

AT_ONCE = int(FIRST_PER_SECOND * AT_ONCE_SECONDS)


def test_some_come_at_once_and_then_as_many_as_time_allows():
    pace = Pace()
    assert pace.left(100.0) == AT_ONCE
    pace.take(AT_ONCE)
    assert pace.left(100.0) == 0
    assert pace.left(100.25) == FIRST_PER_SECOND / 4
    pace.take(4)
    assert pace.left(100.25) == FIRST_PER_SECOND / 4 - 4
    assert pace.left(200.0) == AT_ONCE, "a pause saves no more than that"


def test_the_one_pod_that_a_new_job_gets_at_least_is_not_owed():
    pace = Pace()
    pace.left(100.0)
    pace.take(AT_ONCE + 30)
    assert pace.left(100.25) == FIRST_PER_SECOND / 4


def test_runs_that_begin_together_get_as_many_each():
    pace = Pace()
    assert pace.of_each(AT_ONCE // 2, 100.0) == 2
    pace.take(AT_ONCE)
    assert pace.of_each(30, 100.25) == 1
    assert pace.of_each(1, 200.0) == AT_ONCE
    assert pace.of_each(0, 200.0) == AT_ONCE


FAST, BETWEEN, SLOW = FAST_SECONDS / 2, (FAST_SECONDS + SLOW_SECONDS) / 2, 2 * SLOW_SECONDS


@pytest.mark.parametrize(
    ("took", "per_second"),
    [
        pytest.param([], FIRST_PER_SECOND, id="no gate came off"),
        pytest.param([FAST], FIRST_PER_SECOND + STEP_PER_SECOND, id="fast"),
        pytest.param([BETWEEN], FIRST_PER_SECOND, id="neither fast nor slow"),
        pytest.param([SLOW], FIRST_PER_SECOND * PART, id="slow"),
        pytest.param([FAST] * 9 + [SLOW], FIRST_PER_SECOND + STEP_PER_SECOND, id="slow once in ten"),
        pytest.param([FAST] * 8 + [SLOW] * 2, FIRST_PER_SECOND * PART, id="slow twice in ten"),
    ],
)
def test_the_pace_follows_how_long_gates_take(took, per_second):
    pace = Pace()
    pace.learn(took, 100.0)
    assert pace.per_second == pytest.approx(per_second)


def test_one_burst_that_is_slow_for_several_ticks_counts_once():
    pace = Pace()
    for tick in range(5):
        pace.learn([SLOW], 100.0 + WHILE_SECONDS * tick / 5)
    assert pace.per_second == pytest.approx(FIRST_PER_SECOND * PART)
    pace.learn([SLOW], 100.0 + WHILE_SECONDS)
    assert pace.per_second == pytest.approx(FIRST_PER_SECOND * PART**2)


def test_the_pace_has_bounds():
    pace = Pace()
    for second in range(100):
        pace.learn([SLOW], 100.0 + second)
    assert pace.per_second == LEAST_PER_SECOND
    for _ in range(round((MOST_PER_SECOND - LEAST_PER_SECOND) / STEP_PER_SECOND) + 1):
        pace.learn([FAST], 300.0)
    assert pace.per_second == MOST_PER_SECOND
    assert pace.left(100.0) <= MOST_PER_SECOND * AT_ONCE_SECONDS

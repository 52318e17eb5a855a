"""The Jobs of all runs together get pods no faster than an API server makes them."""

from clipfarm.cluster.acting.pace import MOST, PODS_PER_SECOND, Pace


def test_some_come_at_once_and_then_as_many_as_time_allows():
    pace = Pace()
    assert pace.left(100.0) == MOST
    pace.take(int(MOST))
    assert pace.left(100.0) == 0
    assert pace.left(100.25) == PODS_PER_SECOND / 4
    pace.take(10)
    assert pace.left(100.25) == PODS_PER_SECOND / 4 - 10
    assert pace.left(200.0) == MOST, "a pause saves no more than that"


def test_the_one_pod_that_a_new_job_gets_at_least_is_not_owed():
    pace = Pace()
    pace.left(100.0)
    pace.take(int(MOST) + 30)
    assert pace.left(100.5) == PODS_PER_SECOND / 2


def test_runs_that_begin_together_get_as_many_each():
    pace = Pace()
    assert pace.of_each(30, 100.0) == 3
    pace.take(int(MOST))
    assert pace.of_each(30, 100.5) == 2
    assert pace.of_each(1, 200.0) == MOST
    assert pace.of_each(0, 200.0) == MOST

import pytest

from clipfarm_render.supervising.allowance import Allowance

FOR_ITSELF, FOR_ALL = False, True


@pytest.mark.parametrize(
    ("spent", "ran_out"),
    [
        ([(5, FOR_ITSELF)], None),
        ([(10, FOR_ITSELF)], None),
        ([(11, FOR_ITSELF)], "timed out after 10 s"),
        ([(6, FOR_ITSELF), (90, FOR_ALL), (4, FOR_ITSELF)], None),
        ([(6, FOR_ITSELF), (90, FOR_ALL), (5, FOR_ITSELF)], "timed out after 10 s"),
        ([(60, FOR_ALL), (1, FOR_ITSELF), (40, FOR_ALL)], None),
        ([(60, FOR_ALL), (41, FOR_ALL)], "timed out after 100 s of work for the whole run: kernels, background"),
    ],
)
def test_work_for_the_whole_run_does_not_count_as_the_clips_but_has_a_limit_too(spent, ran_out):
    allowance, now, found = Allowance(10, since=1000.0), 1000.0, None
    for seconds, shared in spent:
        now += seconds
        found = allowance.spend(now, on_shared_work=shared)
    assert found == ran_out

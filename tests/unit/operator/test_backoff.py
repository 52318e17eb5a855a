"""How long to wait after a failure."""

import pytest

from clipfarm.cluster.api.backoff import LONGEST_SECONDS, pause, retry_after


@pytest.mark.parametrize(
    ("failures", "asked", "least", "most"),
    [
        pytest.param(1, None, 0.25, 0.5, id="the first"),
        pytest.param(2, None, 0.5, 1.0, id="twice as long"),
        pytest.param(5, None, 4.0, 8.0, id="and again"),
        pytest.param(100_000, None, 15.0, 30.0, id="never longer than half a minute"),
        pytest.param(1, 7.0, 7.25, 7.5, id="as the server asked, and never earlier"),
        pytest.param(1, 0.0, 0.25, 0.5, id="at once, as the server asked: with jitter all the same"),
        pytest.param(1, 1e9, 120.25, 120.5, id="a server that asks for years"),
        pytest.param(1, -5.0, 0.25, 0.5, id="a server that asks for the past"),
    ],
)
def test_a_pause_lies_between_half_of_it_and_all_of_it(failures: int, asked: float | None, least: float, most: float):
    assert pause(failures, asked, chance=0.0) == pytest.approx(least)
    assert pause(failures, asked, chance=1.0) == pytest.approx(most)
    assert least <= pause(failures, asked) <= most


def test_pauses_of_many_that_failed_together_spread_out():
    drawn = sorted(pause(4) for _ in range(200))
    assert drawn[-1] - drawn[0] > 1.0
    assert drawn[-1] <= LONGEST_SECONDS


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        ("0", 0.0),
        ("-1", None),
        ("inf", None),
        ("nan", None),
        ("Wed, 21 Oct", None),
    ],
)
def test_a_retry_after_header_names_seconds_or_nothing(header: str | None, seconds: float | None):
    assert retry_after(header) == seconds

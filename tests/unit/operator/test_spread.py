import pytest

from clipfarm.local.job import spread
from clipfarm.run import Run
from helpers.runs import document


def run_with_phases(clips, *phases):
    made = document()
    made["spec"]["clips"] = dict(zip(("start", "end"), clips, strict=True))
    made["spec"]["experiment"]["phases"] = [
        {"name": f"P{i}", "clips": {"start": start, "end": end}, "friction": {"min": 0, "max": 1},
         "mass": {"min": 1, "max": 1}}
        for i, (start, end) in enumerate(phases)
    ]  # fmt: skip
    return Run.model_validate(made)


@pytest.mark.parametrize(
    ("clips", "phases", "count", "expected"),
    [
        ((0, 16999), [(0, 14999), (15000, 15999), (16000, 16999)], 5, (0, 7500, 15000, 15500, 16000)),
        ((0, 16999), [(16000, 16999), (0, 14999), (15000, 15999)], 3, (0, 15000, 16000)),
        ((0, 16999), [(0, 14999), (15000, 15999), (16000, 16999)], 1, (0,)),
        ((0, 5), [(0, 0), (1, 5)], 4, (0, 1, 2, 4)),
        ((0, 2), [(0, 2)], 10, (0, 1, 2)),
        ((10, 12), [(0, 11), (12, 99)], 5, (10, 11, 12)),
        ((0, 9), [(0, 7), (8, 9)], None, (0, 2, 5, 8, 9)),
        ((0, 15), [(2 * i, 2 * i + 1) for i in range(8)], None, (0, 2, 4, 6, 8, 10, 12, 14)),
        ((0, 15), [(2 * i, 2 * i + 1) for i in range(8)], 3, (0, 2, 4)),
    ],
)
def test_test_clips_are_spread_over_the_phases(clips, phases, count, expected):
    assert spread(run_with_phases(clips, *phases), count) == expected

"""The progress of a run on terminals of any width: its counts are always there, whole."""

import io

import pytest
from rich.console import Console

from clipfarm.local.progress import Counts

NOTE = "0.12 clips/s (440/h), ETA 3h 05m"


def shown(width: int, note: str = NOTE) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(Counts({"rendered": 12_345, "encoded": 987}, 17_000, note))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (20, ["rendered 12345/17000", "encoded    987/17000", "0.12 clips/s (440/h)", "ETA 3h 05m"]),
        (40, ["rendered 12345/17000", "encoded    987/17000", NOTE]),
        (60, [f"rendered 12345/17000 {NOTE}", "encoded    987/17000"]),
    ],
)
def test_a_narrow_terminal_has_the_counts_and_no_bars(width, lines):
    assert shown(width) == lines


@pytest.mark.parametrize(("width", "bar"), [(66, 12), (80, 26), (100, 40), (200, 40)])
def test_a_wide_one_has_bars_too(width, bar):
    first, second = shown(width)
    assert first.startswith("rendered ━")
    assert second.startswith(("encoded  ━", "encoded  ╸"))
    assert first.index("12345/17000") == second.index("  987/17000") == len("rendered ") + bar + len(" ")
    assert first.endswith(NOTE)


@pytest.mark.parametrize("width", range(20, 120))
def test_no_line_is_cut_at_any_width(width):
    text = " ".join(shown(width))
    assert all(part in text for part in ("12345/17000", "987/17000", "(440/h)", "ETA 3h 05m"))

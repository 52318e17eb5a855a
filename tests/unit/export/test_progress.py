"""How far an export is, in lines for a log."""

import io

import pytest
from rich.console import Console

from clipfarm_export import progress


@pytest.mark.parametrize(
    ("total", "line"),
    [
        pytest.param(2, "exporting: 1 of 2, about 31 s left\n", id="seconds"),
        pytest.param(11, "exporting: 1 of 11, about 5 min left\n", id="minutes"),
    ],
)
def test_a_line_every_half_minute_says_how_long_it_will_take(monkeypatch, total, line):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    written = io.StringIO()
    lines = progress.Lines(Console(file=written))
    lines.begin("exporting", total)
    now[0] = 31.0
    lines.tick()
    assert written.getvalue() == line

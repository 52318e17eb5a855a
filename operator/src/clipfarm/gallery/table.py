"""Rows as columns, in JSON: what the page loads first, small enough for every clip of a large run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clipfarm.gallery.rows import Failure, Row
from clipfarm.truth import Value, unit

MOST_LEVELS = 60
"""Different words in a column; one with more is no category, and not shown."""
SPLIT = "split"
"""What a clip is for, if its phase says so."""
DIGITS = 6
"""Of a number in a column; the page shows fewer, and each clip's truth has all."""


def table(rows: Sequence[Row], failures: Sequence[Failure], strips: Mapping[int, int]) -> dict[str, Any]:
    """Return the columns of all clips.

    Args:
        rows: the clips, in order.
        failures: clips that failed.
        strips: number of pictures in a clip's thumbnail, by clip; clips without one are left out.
    """
    # What is drawn for the whole clip comes before what is of one of its bodies.
    names = sorted(dict.fromkeys(name for row in rows for name in row.truth.factors), key=lambda name: name.count("."))
    results = list(dict.fromkeys(name for row in rows for name in row.truth.outcomes))
    columns = [_column("phase", "group", [row.truth.phase or None for row in rows])]
    columns += [
        _column(name, "group" if name == SPLIT else "factor", [row.truth.factors.get(name) for row in rows])
        for name in names
    ]
    columns += [_column(name, "outcome", [row.truth.outcomes.get(name) for row in rows]) for name in results]
    columns += [_column("features", "group", [", ".join(row.features) or "none" for row in rows])]
    return {
        "index": [row.index for row in rows],
        "frames": [row.frames for row in rows],
        "strip": [strips.get(row.index, 0) for row in rows],
        "columns": [column for column in columns if column],
        "failures": [{"index": each.index, "stage": each.stage, "reason": each.reason} for each in failures],
    }


def truths(rows: Sequence[Row]) -> dict[str, Any]:
    """Return everything that is true of some clips, by their number: what the page loads when a clip is opened."""
    return {
        str(row.index): {
            "truth": _plain(row.truth.document, 0),
            "outcomes": {name: _rounded(value) for name, value in row.truth.outcomes.items()},
            "fps": row.truth.fps,
            "paths": [[_place(place) for place in path] for path in row.truth.paths],
        }
        for row in rows
    }


def _place(place: Sequence[float]) -> list[float] | None:
    """Return a place, to a tenth of a millimetre; None where the body is not there."""
    return [round(value, 4) for value in place] if all(map(math.isfinite, place)) else None


def _column(name: str, role: str, values: Sequence[Value | None]) -> dict[str, Any] | None:
    """Return a column; None if it holds nothing that can be shown."""
    column: dict[str, Any] = {"name": name, "role": role, "unit": unit(name)}
    present = [value for value in values if value is not None]
    if not present:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        numbers = [None if value is None else _rounded(float(value)) for value in values]
        return column | {"kind": "number", "values": numbers}
    words = [None if value is None else _word(value) for value in values]
    levels = sorted({word for word in words if word is not None})
    if len(levels) > MOST_LEVELS:
        return None
    place = {level: i for i, level in enumerate(levels)}
    return column | {
        "kind": "category",
        "levels": levels,
        "values": [-1 if word is None else place[word] for word in words],
    }


def _word(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:g}"


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


LEFT_OUT = frozenset(("recipe", "trajectory"))
"""Of a ground truth: what makes the clip again, and one line for each frame. The file itself has both."""
DEEPEST = 8


def _plain(value: Any, depth: int) -> Any:
    """Return a document as JSON that every reader takes: without numbers that are none."""
    if isinstance(value, Mapping):
        if depth > DEEPEST:
            return "..."
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items() if key not in LEFT_OUT}
    if isinstance(value, list | tuple):
        return "..." if depth > DEEPEST else [_plain(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value

"""``ground_truth.json`` as columns of a table.

Nothing here knows the experiment: each number, text or list of numbers becomes a column named after its place, so a
factor of a new experiment is exported without a change. What has no fixed form (the camera, events) becomes JSON text.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

WHOLE = ("camera", "events", "versions")
"""Kept in one column each, as JSON text."""
ELSEWHERE = ("recipe", "phase", "seed", "video")
"""Said by columns that every export has."""
RESERVED = (
    *("clip_id", "index", "phase", "split", "num_frames", "fps", "seed_run", "seed_clip", "recipe"),
    *("clip_json", "ground_truth", "pixel_sums"),
    *("video", "images", "video_sha256", "pixels_sha256", "actions", "states", "actions_shape", "states_shape"),
    *("segmentation", "flow", "depth", "normal", "object_coordinates"),
)
"""Names of columns that do not come from the ground truth."""
_INT64 = 2**63
_TAKEN = object()
"""Stands for a column that is not the ground truth's."""


class Kind(Enum):
    """Type of a column."""

    BOOL = "bool"
    INT = "int64"
    FLOAT = "float64"
    TEXT = "string"
    VECTOR = "list of float64"
    MATRIX = "list of lists of float64"
    JSON = "JSON text"

    def joined(self, other: "Kind") -> "Kind":
        """Return the type that holds the values of both."""
        if self is other:
            return self
        return Kind.FLOAT if {self, other} == {Kind.INT, Kind.FLOAT} else Kind.JSON


@dataclass(slots=True)
class Columns:
    """The columns of a run's ground truths, in order of their names."""

    kinds: dict[str, Kind] = field(default_factory=dict)

    def add(self, truth: Mapping[str, Any]) -> None:
        """Take a clip's ground truth into account."""
        for name, value in _leaves(truth):
            if value is None:
                continue
            kind = _kind(name, value)
            self.kinds[name] = self.kinds[name].joined(kind) if name in self.kinds else kind

    def names(self) -> list[str]:
        """Return the names of all columns."""
        return sorted(self.kinds)

    def values(self, truth: Mapping[str, Any]) -> dict[str, Any]:
        """Return a clip's values, None where its ground truth has none."""
        found = dict(_leaves(truth))
        return {name: _value(found.get(name), self.kinds[name]) for name in self.names()}


def text(value: object) -> str:
    """Return JSON on one line; the same value always gives the same text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _leaves(truth: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return each value under a name that no other one has.

    What an experiment draws may stand in an object of its own, ``factors``, whose values get their own names first.
    Another value that would have a name that is taken gets it with ``truth_`` before it; if it is the same value, it
    says nothing more, and is left out.
    """
    found: dict[str, Any] = dict.fromkeys((*RESERVED, *WHOLE), _TAKEN)
    # In an order of its own, so that names do not depend on the order in which a renderer writes.
    for key, value in sorted(truth.items(), key=lambda each: (each[0] != "factors", each[0])):
        if key in WHOLE:
            found[key] = value
        elif key not in ELSEWHERE:
            own = "" if key == "factors" and isinstance(value, Mapping) else _snake(key)
            for name, inner in _below(own, value):
                while name in found and (found[name] is _TAKEN or found[name] != inner):
                    name = f"truth_{name}"
                found.setdefault(name, inner)
    yield from ((name, value) for name, value in found.items() if value is not _TAKEN)


def _below(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in sorted(value.items()):
            yield from _below(f"{name}_{_snake(key)}".strip("_"), inner)
    else:
        yield name, value


def _kind(name: str, value: Any) -> Kind:
    if name in WHOLE:
        return Kind.JSON
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, int):
        return Kind.INT if -_INT64 <= value < _INT64 else Kind.JSON
    if isinstance(value, float):
        return Kind.FLOAT
    if isinstance(value, str):
        return Kind.TEXT
    if _is_vector(value):
        return Kind.VECTOR
    return Kind.MATRIX if isinstance(value, list) and value and all(map(_is_vector, value)) else Kind.JSON


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    """Return whether a column of floats can hold a value; whole numbers in JSON may be larger than any float."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _value(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    match kind:
        case Kind.JSON:
            return text(value)
        case Kind.FLOAT:
            return float(value)
        case Kind.VECTOR:
            return [float(each) for each in value]
        case Kind.MATRIX:
            return [[float(each) for each in row] for row in value]
        case _:
            return value


def _snake(name: str) -> str:
    """Return ``at_frame`` for ``atFrame``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W+", "_", spaced).strip("_").lower() or "value"

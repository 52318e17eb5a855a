"""What `lerobot` gets of each frame: states, actions, and everything numeric of the ground truth."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipfarm_export import rows
from clipfarm_export.job import Job
from clipfarm_export.truth import Kind

STATE, ACTION, PHYSICS = "observation.state", "action", "physics."
_SCALARS = (Kind.BOOL, Kind.INT, Kind.FLOAT)
_COUNTED = ("frame_index", "episode_index", "index", "task_index")


@dataclass(frozen=True, slots=True)
class Feature:
    """A value that each frame has."""

    column: str
    """Of a clip's row."""
    dtype: str
    size: int
    """Numbers a frame; 0: one that is the same in the whole clip."""
    each_frame: bool
    """Whether the clip's row has a value for each frame, or one for all."""


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """The values of each frame, by their names."""

    features: dict[str, Feature]

    @classmethod
    def of(cls, job: Job, paths: Iterable[Path]) -> "FrameFeatures":
        """Return what all clips have in the same form.

        A list of numbers is a feature if it has the same length in all clips; a list of lists, if it has one for each
        frame. Texts are no features: ``metadata/clips.parquet`` has them.
        """
        wanted = {"states": (STATE, "float32"), "actions": (ACTION, "float32")}
        wanted |= {name: (PHYSICS + name, "float64") for name in job.survey.columns.names()}
        forms: dict[str, set[tuple[int, bool] | None]] = {name: set() for name in wanted}
        kinds = job.survey.columns.kinds
        for path in paths:
            for row in rows.read(path, [*wanted, "num_frames"]):
                for name in wanted:
                    forms[name].add(_form(kinds.get(name, Kind.MATRIX), row[name], row["num_frames"]))
        found = {}
        for name, (feature, dtype) in wanted.items():
            if len(forms[name]) == 1 and (form := forms[name].pop()) is not None:
                found[feature] = Feature(name, dtype, *form)
        return cls(found)

    def described(self) -> dict[str, Any]:
        """Return what ``meta/info.json`` says of them."""
        own = {
            name: {"dtype": feature.dtype, "shape": [max(1, feature.size)], "names": None}
            for name, feature in self.features.items()
        }
        counted = {name: {"dtype": "int64", "shape": [1], "names": None} for name in _COUNTED}
        return own | {"timestamp": {"dtype": "float32", "shape": [1], "names": None}} | counted

    def table(self) -> rows.Table:
        """Return the columns of the tables of frames."""
        types: dict[str, pa.DataType] = {}
        features: dict[str, Any] = {}
        for name, each in self.described().items():
            kind = {"float32": pa.float32(), "float64": pa.float64(), "int64": pa.int64()}[each["dtype"]]
            [size] = each["shape"]
            types[name] = kind if size == 1 else pa.list_(kind, size)
            value = {"dtype": each["dtype"], "_type": "Value"}
            features[name] = value if size == 1 else {"feature": value, "length": size, "_type": "List"}
        return rows.Table(tuple(types.items()), features)

    def values(self, row: dict[str, Any]) -> dict[str, Sequence[Any]]:
        """Return a clip's values, one for each frame."""
        found: dict[str, Sequence[Any]] = {}
        for name, feature in self.features.items():
            value = row[feature.column]
            if not feature.each_frame:
                single = math.nan if value is None else value if feature.size else float(value)
                value = [single] * row["num_frames"]
            elif feature.size == 1:
                value = [number for [number] in value]
            if not feature.each_frame and feature.size == 1:
                value = [number for [number] in value]
            found[name] = value
        return found


def as_array(values: Sequence[Any], dtype: str) -> NDArray[Any]:
    """Return values of frames as (frames, size)."""
    return np.asarray(values, dtype).reshape(len(values), -1)


def _form(kind: Kind, value: Any, frames: int) -> tuple[int, bool] | None:
    """Return the numbers a frame and whether each frame has its own; None if the value is no feature."""
    if kind in _SCALARS:
        return 0, False
    if kind is Kind.VECTOR and value is not None:
        return len(value), False
    if kind is Kind.MATRIX and value is not None and len(value) == frames:
        sizes = {len(each) for each in value}
        return (sizes.pop(), True) if len(sizes) == 1 and 0 not in sizes else None
    return None

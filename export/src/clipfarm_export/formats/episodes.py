"""Episodes of `lerobot`: which frames of which files each clip is, and the statistics of its values."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from clipfarm_export import rows
from clipfarm_export.formats.episode_videos import KEY, PIXELS
from clipfarm_export.formats.frame_features import FrameFeatures, as_array
from clipfarm_export.job import Job

Numbers = NDArray[np.float64]
_GROUP = 1000
"""Episodes in a row group."""


class Episodes:
    """The table of episodes, written as their frames are."""

    def __init__(self, job: Job, features: FrameFeatures, folder: Path) -> None:
        self._job = job
        self._folder = folder
        self._writer: pq.ParquetWriter | None = None
        self._dtypes = {name: feature.dtype for name, feature in features.features.items()}
        self._rows: list[dict[str, Any]] = []
        self._file: int | None = None
        self._in_file = 0
        self._totals: dict[str, Totals] = {}
        self.count = 0
        """Number of episodes."""
        self.frames = 0
        self.tasks: list[str] = []
        """One for each phase."""
        self.splits: dict[str, str] = {}
        """First and last episode of each phase, as ``0:15000``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind and self._writer:
            rows.give_up(self._writer)

    def add(self, clip: Mapping[str, Any], values: Mapping[str, Sequence[Any]], file: int) -> tuple[int, int, int]:
        """Take a clip; return the number of its first frame, of its episode, and of its task."""
        if file != self._file:
            self._file, self._in_file = file, 0
        number, start, length = self.count, self.frames, clip["num_frames"]
        experiment = self._job.survey.scene["experiment"].get("name", "clip")
        task = f"{experiment}: {clip['phase']}"
        if task not in self.tasks:
            self.tasks.append(task)
        first = self.splits.get(clip["split"], f"{number}:").partition(":")[0]
        self.splits[clip["split"]] = f"{first}:{number + 1}"
        chunk = {"chunk_index": file // 1000, "file_index": file % 1000}
        self._rows.append(
            {
                "episode_index": number,
                "tasks": [task],
                "length": length,
                **{f"data/{name}": value for name, value in chunk.items()},
                "dataset_from_index": start,
                "dataset_to_index": start + length,
                **{f"videos/{KEY}/{name}": value for name, value in chunk.items()},
                f"videos/{KEY}/from_timestamp": self._in_file / clip["fps"],
                f"videos/{KEY}/to_timestamp": (self._in_file + length) / clip["fps"],
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
                "clip_id": clip["clip_id"],
                **self._stats(clip, values),
            }
        )
        self.count += 1
        self.frames += length
        self._in_file += length
        if len(self._rows) == _GROUP:
            self._flush()
        return start, number, self.tasks.index(task)

    def close(self) -> None:
        """Write what is left of ``meta/episodes``, and ``meta/tasks.parquet``."""
        self._flush()
        if self._writer:
            self._writer.close()
        index = "__index_level_0__"
        table = pa.table({"task_index": pa.array(range(len(self.tasks)), pa.int64()), index: self.tasks})
        # What pandas, with which lerobot reads it, takes for the index.
        columns = [
            {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
            for name, field, kind, numpy in (
                ("task_index", "task_index", "int64", "int64"),
                (None, index, "unicode", "object"),
            )
        ]
        pandas = {"index_columns": [index], "column_indexes": [], "columns": columns, "pandas_version": "2"}
        pq.write_table(
            table.replace_schema_metadata({"pandas": json.dumps(pandas)}), self._folder / "meta/tasks.parquet"
        )

    def _flush(self) -> None:
        if not self._rows:
            return
        table = pa.Table.from_pylist(self._rows, schema=self._writer.schema if self._writer else None)
        if self._writer is None:
            path = self._folder / "meta/episodes/chunk-000/file-000.parquet"
            path.parent.mkdir(parents=True)
            self._writer = pq.ParquetWriter(path, table.schema, compression="zstd")
        self._writer.write_table(table)
        self._rows = []

    def stats(self) -> dict[str, Any]:
        """Return the statistics over all frames."""
        # The file is JSON, which has no NaN.
        return {name: totals.to_json(0.0) for name, totals in sorted(self._totals.items())}

    def _stats(self, clip: Mapping[str, Any], values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Return a clip's statistics as columns, and take them into the totals."""
        found: dict[str, Any] = {}
        each: dict[str, Totals] = {KEY: _pixels(clip)}
        each |= {name: Totals.of(as_array(value, self._dtypes[name])) for name, value in values.items()}
        for name, totals in each.items():
            self._totals[name] = self._totals[name].joined(totals) if name in self._totals else totals
            found |= {f"stats/{name}/{key}": value for key, value in totals.to_json(math.nan).items()}
        return found


class Totals:
    """Smallest, largest, mean and standard deviation of each number of a feature, from sums.

    Frames that do not have a number, or an infinite one, do not count for it.
    """

    def __init__(self, low: Numbers, high: Numbers, total: Numbers, squares: Numbers, count: Any, frames: int) -> None:
        self.low, self.high, self.total, self.squares = low, high, total, squares
        self.count, self.frames = count, frames

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Totals":
        """Return those of (frames, size) values."""
        exact = values.astype(np.float64)
        there = np.isfinite(exact)
        low, high = (np.where(there, exact, end) for end in (np.inf, -np.inf))
        known = np.where(there, exact, 0.0)
        return cls(
            low.min(axis=0), high.max(axis=0), known.sum(axis=0), (known**2).sum(axis=0), there.sum(axis=0), len(exact)
        )

    def joined(self, other: "Totals") -> "Totals":
        """Return those of the values of both."""
        return Totals(
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.total + other.total,
            self.squares + other.squares,
            self.count + other.count,
            self.frames + other.frames,
        )

    def to_json(self, unknown: float) -> dict[str, Any]:
        """Return what `lerobot` keeps of them; ``unknown`` of a number that no frame has."""
        there = np.asarray(self.count) > 0
        count = np.maximum(self.count, 1)
        mean = self.total / count
        deviation = np.sqrt(np.maximum(0.0, self.squares / count - mean**2))
        numbers = {"min": self.low, "max": self.high, "mean": mean, "std": deviation}
        found = {name: np.where(there, value, unknown).tolist() for name, value in numbers.items()}
        return found | {"count": [self.frames]}


def _pixels(clip: Mapping[str, Any]) -> Totals:
    """Return those of a clip's channels, from 0 to 1, as (3, 1, 1)."""
    low, high, total, squares, [pixels] = (np.asarray(each, np.float64) for each in json.loads(clip[PIXELS]))
    low, high, total, squares = (
        (each / scale).reshape(3, 1, 1) for each, scale in ((low, 255), (high, 255), (total, 255), (squares, 255**2))
    )
    return Totals(low, high, total, squares, int(pixels), clip["num_frames"])

"""Tables of clips: their columns, and files of them that never are in memory whole."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from clipfarm_export.truth import Columns, Kind

ROWS = 100
"""Most rows of a row group: a reader that wants one clip reads at most so many."""
GROUP_BYTES = 64 * 2**20
"""A row group ends when its rows take so much, so that large clips do not fill the memory."""
MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""A video or a picture, as `datasets` stores it."""
_FLOATS = pa.list_(pa.float64())
_TABLE = pa.list_(pa.list_(pa.float32()))
_SHAPE = pa.list_(pa.int64())
_ARROW = {
    Kind.BOOL: pa.bool_(),
    Kind.INT: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.VECTOR: _FLOATS,
    Kind.MATRIX: pa.list_(_FLOATS),
    Kind.JSON: pa.string(),
}
HEAVY = (Kind.MATRIX,)
"""Kinds of columns that the table without pictures leaves out, too."""


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a kind of table."""

    fields: tuple[tuple[str, pa.DataType], ...]
    features: Mapping[str, Any]
    """The same as `datasets` describes them; without that it would take a video for bytes."""

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [name for name, _ in self.fields]

    @property
    def schema(self) -> pa.Schema:
        """The schema of the files."""
        info = json.dumps({"info": {"features": dict(self.features)}})
        return pa.schema(list(self.fields), metadata={"huggingface": info})

    def without(self, names: Iterable[str]) -> "Table":
        """Return the table without some columns."""
        left = set(self.names) - set(names)
        return self.only([name for name in self.names if name in left])

    def only(self, names: Sequence[str]) -> "Table":
        """Return the table with some columns alone."""
        types = dict(self.fields)
        return Table(tuple((name, types[name]) for name in names), {name: self.features[name] for name in names})


def table(columns: Columns, *, media: Mapping[str, str], layers: Sequence[str]) -> Table:
    """Return the table of a run's clips.

    Args:
        columns: those of the ground truths.
        media: names of the columns of videos (``Video``) and of lists of pictures (``Image``).
        layers: names of the layers, each the bytes of a .npy file.
    """
    fields: dict[str, pa.DataType] = {
        "clip_id": pa.string(),
        "index": pa.int64(),
        "phase": pa.string(),
        "split": pa.string(),
        "num_frames": pa.int64(),
        "fps": pa.int64(),
        "seed_run": pa.string(),
        "seed_clip": pa.string(),
        **{name: _ARROW[columns.kinds[name]] for name in columns.names()},
        "recipe": pa.string(),
        "video_sha256": pa.string(),
        "pixels_sha256": pa.string(),
        "actions_shape": _SHAPE,
        "states_shape": _SHAPE,
        "actions": _TABLE,
        "states": _TABLE,
    }
    features: dict[str, Any] = {name: _feature(kind) for name, kind in fields.items()}
    for name, kind in media.items():
        fields[name] = MEDIA if kind == "Video" else pa.list_(MEDIA)
        features[name] = {"_type": kind} if kind == "Video" else {"feature": {"_type": kind}, "_type": "List"}
    for name in layers:
        fields[name], features[name] = pa.binary(), {"dtype": "binary", "_type": "Value"}
    return Table(tuple(fields.items()), features)


def light(whole: Table, columns: Columns) -> Table:
    """Return the table without its heavy columns: what fits into memory of any number of clips."""
    heavy = [name for name, kind in columns.kinds.items() if kind in HEAVY]
    series = ["actions", "states", *heavy]
    binary = [name for name, kind in whole.fields if kind in (pa.binary(), MEDIA, pa.list_(MEDIA))]
    return whole.without([*series, *binary])


class Writer:
    """Writes rows into a Parquet file, a group at a time.

    Pages end where the content says so, and not after a number of bytes: a hub that stores files in chunks then keeps
    what two versions of an export have in common once.
    """

    def __init__(self, path: Path, what: Table) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = what.schema
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", use_content_defined_chunking=True)
        self._group: list[Mapping[str, Any]] = []
        self._size = self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            give_up(self._writer)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row."""
        self._group.append(row)
        self._size += sum(_size(value) for value in row.values())
        self._count += 1
        if len(self._group) == ROWS or self._size >= GROUP_BYTES:
            self._flush()

    def close(self) -> int:
        """Write what is left; return how many rows there are."""
        self._flush()
        self._writer.close()
        return self._count

    def _flush(self) -> None:
        if self._group:
            self._writer.write_table(pa.Table.from_pylist([dict(row) for row in self._group], schema=self._schema))
            self._group, self._size = [], 0


def write(path: Path, what: Table, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows into a Parquet file; return how many there were."""
    with Writer(path, what) as writer:
        for row in rows:
            writer.add(row)
        return writer.close()


def give_up(writer: pq.ParquetWriter) -> None:
    """Leave a file unfinished after an error; else it would be finished when it is collected, also on a full disk."""
    writer.is_open = False


def join(path: Path, what: Table, parts: Iterable[Path]) -> int:
    """Write the rows of files of the same columns into one; return how many there were."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    writer = pq.ParquetWriter(path, what.schema, compression="zstd", use_content_defined_chunking=True)
    try:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(columns=what.names):
                    count += batch.num_rows
                    writer.write_table(pa.Table.from_batches([batch]).cast(what.schema))
        writer.close()
    except BaseException:
        give_up(writer)
        raise
    return count


def read(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Return the rows of a file, a few in memory at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS, columns=list(columns) if columns else None):
            yield from batch.to_pylist()


def _size(value: Any) -> int:
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) and value and isinstance(value[0], dict) else 0


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    names = {pa.string(): "string", pa.float64(): "float64", pa.float32(): "float32", pa.bool_(): "bool"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}

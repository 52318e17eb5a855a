"""The tables beside the clips, the same in every format: a row a clip, small enough to be read whole.

``metadata/clips.parquet`` has everything of a clip but its pictures and series. ``metadata/provenance.parquet`` has its
``clip.json`` and its ``ground_truth.json`` as they were in the run: the recipe and the hash of every file, from which
the clip can be made again and compared.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from clipfarm_export import rows
from clipfarm_export.clips import VerifiedClip, sha256
from clipfarm_export.destination.base import STATE, Destination
from clipfarm_export.job import Job, Packed
from clipfarm_export.parts import Made, Part, Tick

CLIPS = "metadata/clips.parquet"
PROVENANCE = "metadata/provenance.parquet"
_TEXT = {"dtype": "string", "_type": "Value"}
_ORIGINALS = ("clip_json", "ground_truth")
_PROVENANCE = rows.Table(
    (("clip_id", pa.string()), ("index", pa.int64()), *((name, pa.string()) for name in _ORIGINALS)),
    {"clip_id": _TEXT, "index": {"dtype": "int64", "_type": "Value"}, **dict.fromkeys(_ORIGINALS, _TEXT)},
)


def describe(job: Job, packed: Packed) -> dict[str, Any]:
    """Return a clip's row without its pictures, layers and series."""
    facts = packed.clip.facts(job.survey.columns) | shapes(packed.tables)
    return facts | {"video_sha256": sha256(packed.video) if packed.video else None, "pixels_sha256": packed.pixels}


def whole(job: Job) -> rows.Table:
    """Return the table of all that is known of a clip; pictures in the form in which `datasets` has them."""
    media = {"images": "Image"} if job.options.video == "png" else {"video": "Video"}
    return rows.table(job.survey.columns, media=media, layers=job.options.layers)


def light(job: Job) -> rows.Table:
    """Return the table of ``metadata/clips.parquet``."""
    return rows.light(whole(job), job.survey.columns)


class Kept:
    """The rows of a part for the tables beside the clips, in a file of the part until all parts are made."""

    def __init__(
        self, job: Job, part: str, folder: Path, series: Sequence[str] = (), texts: Sequence[str] = ()
    ) -> None:
        """Keep the rows of a part.

        Args:
            job: the export.
            part: its name.
            folder: where its files are made.
            series: heavy columns to keep, too, beside those of the ground truth.
            texts: further columns.
        """
        self._names = _of_a_part(job, series, texts).names
        self._writer = rows.Writer(folder / rows_of(part), _of_a_part(job, series, texts))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._writer.__exit__(*error)

    def add(self, row: Mapping[str, Any], clip: VerifiedClip) -> None:
        """Take a clip's row."""
        originals = {"clip_json": clip.clip_json, "ground_truth": clip.ground_truth}
        self._writer.add({name: row.get(name) for name in self._names} | originals)

    def close(self) -> int:
        """Write what is left; return how many rows there are."""
        return self._writer.close()


def rows_of(part: str) -> str:
    """Return the name of the file with a part's rows."""
    return f"{STATE}/rows/{part}.parquet"


def part(job: Job, place: Destination, of: Sequence[str]) -> Part:
    """Return the part that joins the rows of other parts into the two tables."""

    def make(folder: Path, tick: Tick) -> Made:
        with ExitStack() as files:
            paths = [files.enter_context(place.local(rows_of(each))) for each in of]
            rows.join(folder / CLIPS, light(job), paths)
            rows.join(folder / PROVENANCE, _PROVENANCE, paths)
        tick()
        return Made()

    return Part("metadata", 0, make)


def _of_a_part(job: Job, series: Sequence[str], texts: Sequence[str]) -> rows.Table:
    """Return the columns of a part's rows; with series, those of the ground truth are kept, too."""
    names = light(job).names
    if series:
        names += [name for name in (*job.survey.columns.names(), *series) if name not in names]
    found = whole(job).only(names)
    more = [*texts, *_ORIGINALS]
    return rows.Table(
        (*found.fields, *((name, pa.string()) for name in more)), {**found.features, **dict.fromkeys(more, _TEXT)}
    )


def shapes(series: Mapping[str, Any]) -> dict[str, list[int] | None]:
    """Return the columns with the shapes of actions and states: of several bodies they are (frames, bodies, values)."""
    return {f"{name}_shape": None if table is None else list(table.shape) for name, table in series.items()}


def shaped(row: Mapping[str, Any], name: str, table: Any) -> Any:
    """Return actions or states in the shape that the clip had; earlier exports do not name it."""
    shape = row.get(f"{name}_shape")
    return table if shape is None else table.reshape(shape)


def lists(table: Any) -> list[list[float]] | None:
    """Return a table of numbers as a column holds it."""
    return None if table is None else [list(map(float, row)) for row in table.reshape(len(table), -1)]

"""For `datasets.load_dataset`: Parquet files with a row a clip, some clips of one phase in each."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipfarm_export import rows, tables
from clipfarm_export.job import Job, Packed, shard_name
from clipfarm_export.parts import Made, Part, Record, Tick
from clipfarm_export.survey import Candidate, LeftOut
from clipfarm_export.work import in_order


def parts(job: Job) -> list[Part]:
    """Return the parts that hold the clips."""
    found = []
    for split, clips in job.survey.splits.items():
        shards = job.shards(clips)
        found += [_part(job, split, number, len(shards), shard) for number, shard in enumerate(shards)]
    return found


def _part(job: Job, split: str, number: int, of: int, clips: Sequence[Candidate]) -> Part:
    name = f"data-{split}-{number:05d}"

    def make(folder: Path, tick: Tick) -> Made:
        left_out: list[LeftOut] = []
        kept = tables.Kept(job, name)

        def made() -> Iterator[dict[str, Any]]:
            for packed in in_order(clips, job.pack, left_out, tick):
                row = _row(job, packed)
                kept.add(row, packed.clip)
                yield row

        count = rows.write(folder / shard_name("data", split, number, of, "parquet"), tables.whole(job), made())
        kept.write(folder)
        return Made(left_out, {"split": split, "clips": count})

    return Part(name, len(clips), make)


def _row(job: Job, packed: Packed) -> dict[str, Any]:
    clip = packed.clip
    row = tables.describe(job, packed) | {name: tables.lists(each) for name, each in clip.tables().items()}
    if packed.video is None:
        names = (Path(name).name for name in clip.frames)
        row["images"] = [{"bytes": data, "path": name} for name, data in zip(names, packed.pictures, strict=True)]
    else:
        row["video"] = {"bytes": packed.video, "path": f"{clip.candidate.name}.mp4"}
    return row | {name: npy_bytes(values) for name, values in packed.layers.items()}


def npy_bytes(values: Any) -> bytes:
    """Return an array as the bytes of a .npy file."""
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def describe(job: Job, records: Sequence[Record]) -> dict[str, bytes]:
    """Return the files that only this format has: none, the card says it all."""
    return {}

"""For `datasets.load_dataset`: Parquet files with a row a clip, some clips of one phase in each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from clipfarm_contract.experiment import LAYERS
from clipfarm_export import rows, tables
from clipfarm_export.destination.base import Destination
from clipfarm_export.formats import shards
from clipfarm_export.formats.arrays import npy_array, npy_bytes, png_pixels
from clipfarm_export.job import Job
from clipfarm_export.parts import Part, Record
from clipfarm_export.stored import Stored
from clipfarm_export.survey import Candidate
from clipfarm_export.video import Frame, decode

SHARD_MIB = 500
"""About what hubs recommend: their viewers read a file whole."""


def check(job: Job) -> None:
    """Refuse what this format does not have: nothing."""


def parts(job: Job) -> list[Part]:
    """Return the parts that hold the clips."""

    def write(path: Path, clips: Iterator[shards.Clip]) -> None:
        rows.write(path, tables.whole(job), (_row(*clip) for clip in clips))

    return shards.parts(job, "parquet", write)


def look_again(job: Job) -> Callable[[Candidate], object]:
    """Return what looks again at a clip that was left out: it raises LeftOutError if the clip cannot be exported."""
    return job.pack


def after(job: Job, place: Destination, records: Sequence[Record]) -> list[Part]:
    """Return the parts that need all clips: none."""
    return []


def configs(job: Job) -> list[dict[str, Any]]:
    """Return what the card tells `datasets`: a split for each phase, and the table without pictures."""
    data = [{"split": split, "path": f"data/{split}-*.parquet"} for split in job.survey.splits]
    return [
        {"config_name": "clips", "data_files": data, "default": True},
        {"config_name": "metadata", "data_files": tables.CLIPS},
    ]


def loading(job: Job) -> str:
    """Return an example for the card."""
    split = next(iter(job.survey.splits))
    return (
        "from datasets import load_dataset\n\n"
        f'clips = load_dataset("PATH", split="{split}")              # or the name on a hub\n'
        'facts = load_dataset("PATH", "metadata", split="train")   # the same without videos and series'
    )


def describe(job: Job, records: Sequence[Record]) -> Mapping[str, bytes]:
    """Return the files that only this format has: none, the card says it all."""
    return {}


def stored(root: Path, row: Mapping[str, Any]) -> Stored:
    """Return what an export has of a clip, by its row."""
    wanted = [("index", "==", row["index"])]
    paths = sorted((root / "data").glob(f"{row['split']}-*.parquet"))
    [found] = [each for path in paths for each in pq.read_table(path, filters=wanted).to_pylist()]
    frames: Iterator[Frame]
    if "images" in found:
        frames = (png_pixels(each["bytes"]) for each in found["images"])
    else:
        frames = decode(found["video"]["bytes"])
    series = {
        name: tables.shaped(row, name, np.asarray(found[name], np.float32))
        for name in ("actions", "states")
        if found[name] is not None
    }
    return Stored(frames, series, {name: npy_array(found[name]) for name in LAYERS if name in found})


def _row(facts: dict[str, Any], packed: Any) -> dict[str, Any]:
    clip = packed.clip
    row = facts | {name: tables.lists(each) for name, each in packed.tables.items()}
    if packed.video is None:
        names = (Path(name).name for name in clip.frames)
        row["images"] = [{"bytes": data, "path": name} for name, data in zip(names, packed.pictures, strict=True)]
    else:
        row["video"] = {"bytes": packed.video, "path": f"{clip.candidate.name}.mp4"}
    return row | {name: npy_bytes(values) for name, values in packed.layers.items()}

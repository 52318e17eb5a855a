"""For `datasets.load_dataset`: Parquet files with a row a clip, some clips of one phase in each."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipfarm_export import rows, tables
from clipfarm_export.destination import Destination
from clipfarm_export.formats import shards
from clipfarm_export.formats.arrays import npy_bytes
from clipfarm_export.job import Job
from clipfarm_export.parts import Part, Record

SHARD_MIB = 500
"""About what hubs recommend: their viewers read a file whole."""


def check(job: Job) -> None:
    """Refuse what this format does not have: nothing."""


def parts(job: Job) -> list[Part]:
    """Return the parts that hold the clips."""

    def write(path: Path, clips: Iterator[shards.Clip]) -> None:
        rows.write(path, tables.whole(job), (_row(*clip) for clip in clips))

    return shards.parts(job, "parquet", write)


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


def _row(facts: dict[str, Any], packed: Any) -> dict[str, Any]:
    clip = packed.clip
    row = facts | {name: tables.lists(each) for name, each in clip.tables().items()}
    if packed.video is None:
        names = (Path(name).name for name in clip.frames)
        row["images"] = [{"bytes": data, "path": name} for name, data in zip(names, packed.pictures, strict=True)]
    else:
        row["video"] = {"bytes": packed.video, "path": f"{clip.candidate.name}.mp4"}
    return row | {name: npy_bytes(values) for name, values in packed.layers.items()}

"""For `webdataset`: tar files in which a clip is some members with the clip's name.

=================== =========================================================================================
member              content
=================== =========================================================================================
clip_00042.mp4      the frames; with ``--video png`` they are ``clip_00042.frame_00000.png`` and so on
clip_00042.json     a row of ``metadata/clips.parquet``
....actions.npy     (frames, values) float32, and ``.states.npy``: if all clips of the run have them
....depth.npy       a layer that was asked for, (frames, height, width, ...)
=================== =========================================================================================

Every clip has the same members, which readers expect. Nothing of the moment is in them: time 0, owner 0.
"""

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipfarm_export.destination.base import Destination
from clipfarm_export.formats import shards
from clipfarm_export.formats.arrays import npy_array, npy_bytes, png_pixels
from clipfarm_export.job import Job, Packed
from clipfarm_export.parts import Part, Record
from clipfarm_export.stored import Stored
from clipfarm_export.survey import Candidate
from clipfarm_export.truth import text
from clipfarm_export.video import decode

SHARD_MIB = 1000
"""About a gigabyte, as webdataset's authors recommend: read from front to end, and spread over workers by the file."""


def check(job: Job) -> None:
    """Refuse what this format does not have: nothing."""


def parts(job: Job) -> list[Part]:
    """Return the parts that hold the clips."""

    def write(path: Path, clips: Iterator[shards.Clip]) -> None:
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for row, packed in clips:
                for name, content in _members(job, row, packed):
                    member = tarfile.TarInfo(f"{packed.clip.candidate.name}.{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
                    # It would keep what it has written, and grow with the clips of a file.
                    tar.members.clear()  # type: ignore[attr-defined] # unknown to typeshed

    return shards.parts(job, "tar", write)


def look_again(job: Job) -> Callable[[Candidate], object]:
    """Return what looks again at a clip that was left out: it raises LeftOutError if the clip cannot be exported."""
    return job.pack


def after(job: Job, place: Destination, records: Sequence[Record]) -> list[Part]:
    """Return the parts that need all clips: none."""
    return []


def configs(job: Job) -> list[dict[str, Any]]:
    """Return what the card tells `datasets`: a split for each phase."""
    data = [{"split": split, "path": f"data/{split}-*.tar"} for split in job.survey.splits]
    return [{"config_name": "clips", "data_files": data, "default": True}]


def loading(job: Job) -> str:
    """Return an example for the card."""
    split, clips = next(iter(job.survey.splits.items()))
    last = len(job.shards(clips)) - 1
    files = f"{split}-{{00000..{last:05d}}}-of-{last + 1:05d}.tar"
    return (
        "import webdataset\n\n"
        f'clips = webdataset.WebDataset("PATH/data/{files}", shardshuffle=False).decode()\n'
        "for clip in clips:\n"
        '    clip["json"], clip["mp4"]         # what is known of it; the bytes of its video'
    )


def describe(job: Job, records: Sequence[Record]) -> Mapping[str, bytes]:
    """Return the files that only this format has: none."""
    return {}


def stored(root: Path, row: Mapping[str, Any]) -> Stored:
    """Return what an export has of a clip, by its row."""
    members: dict[str, bytes] = {}
    for path in sorted((root / "data").glob(f"{row['split']}-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, name = member.name.partition(".")
                if key == row["clip_id"] and (file := tar.extractfile(member)):
                    members[name] = file.read()
        if members:
            break
    if "mp4" in members:
        frames = decode(members["mp4"])
    else:
        frames = (png_pixels(members[name]) for name in sorted(members) if name.endswith(".png"))
    arrays = {name.removesuffix(".npy"): npy_array(each) for name, each in members.items() if name.endswith(".npy")}
    series: dict[str, Any] = {name: arrays.pop(name) for name in ("actions", "states") if name in arrays}
    return Stored(frames, series, arrays)


def _members(job: Job, row: Mapping[str, Any], packed: Packed) -> Iterator[tuple[str, bytes]]:
    clip = packed.clip
    if packed.video is None:
        for name, data in zip(clip.frames, packed.pictures, strict=True):
            yield Path(name).name, data
    else:
        yield "mp4", packed.video
    yield "json", text(row).encode()
    for name, values in packed.tables.items():
        if name in job.survey.tables:
            yield f"{name}.npy", npy_bytes(values)
    for name, values in packed.layers.items():
        yield f"{name}.npy", npy_bytes(values)

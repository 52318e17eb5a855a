"""Videos of many clips, one after the other: for `lerobot`."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipfarm_export import tables
from clipfarm_export.clips import VerifiedClip
from clipfarm_export.errors import ExportError, LeftOutError
from clipfarm_export.job import Job
from clipfarm_export.parts import Made, Part, Record, Tick
from clipfarm_export.survey import Candidate, LeftOut
from clipfarm_export.truth import text
from clipfarm_export.video import LOSSLESS, Codec, Frame, decode, encode, small
from clipfarm_export.work import in_order

KEY = "observation.images.camera"
MOST_SECONDS = 1000
"""Of a file: `lerobot` computes times in float32, whose steps are 0.06 ms there, and allows 0.1 ms."""
PIXELS = "pixel_sums"
"""Column of a part's rows: smallest, largest, sum and sum of squares of each channel, and the number of pixels."""

_SERIES = ("actions", "states")


@dataclass(frozen=True, slots=True)
class Seen:
    """A clip whose frames were all decoded once: they are of the size of all others, and as ``clip.json`` says."""

    clip: VerifiedClip
    sha256: str
    sums: list[list[int]]
    tables: dict[str, Any]
    """Its actions and states, (frames, values) each; None where it has none."""


def parts(job: Job) -> list[Part]:
    """Return a part for each video; all have frames of one size, which ``meta/info.json`` names."""
    found: list[Part] = []
    shape = shape_of_all(job)
    for split, clips in job.survey.splits.items():
        most = max(1, MOST_SECONDS * clips[0].fps // clips[0].frames)
        for shard in job.shards(clips, most):
            found.append(_part(job, len(found), split, shard, shape))
    return found


def feature(job: Job, record: Record) -> dict[str, Any]:
    """Return what ``meta/info.json`` says of the videos."""
    height, width = record.facts["shape"][:2]
    pixels = "gbrp" if job.options.video == "lossless" else small((height, width))[1]
    return {
        "dtype": "video",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height,
            "video.width": width,
            "video.codec": "h264",
            "video.pix_fmt": pixels,
            "video.is_depth_map": False,
            "video.fps": job.survey.clips[0].fps,
            "video.channels": 3,
            "has_audio": False,
        },
    }


def look(job: Job, candidate: Candidate, shape: tuple[int, ...]) -> Seen:
    """Verify a clip, and decode its frames once.

    Raises:
        LeftOutError: it is not whole, or cannot be an episode beside frames of this shape.
    """
    clip = job.verified(candidate)
    digest = hashlib.sha256()
    low, high = np.full(3, 255, np.uint8), np.zeros(3, np.uint8)
    total, squares = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for frame in clip.pictures():
        if frame.shape != shape:
            size, expected = (f"{width} x {height} pixels" for height, width, _ in (frame.shape, shape))
            raise LeftOutError(f"frames of {size}, expected {expected} as in the first clip")
        digest.update(np.ascontiguousarray(frame).data)
        flat = frame.reshape(-1, 3).astype(np.int64)
        low, high = np.minimum(low, frame.min(axis=(0, 1))), np.maximum(high, frame.max(axis=(0, 1)))
        total, squares = total + flat.sum(axis=0), squares + (flat * flat).sum(axis=0)
    read = clip.tables()
    for key, table in read.items():
        if table is not None and len(table) != len(clip.frames):
            raise LeftOutError(f"{key}: {len(table)} rows for {len(clip.frames)} frames")
    pixels = len(clip.frames) * shape[0] * shape[1]
    sums = [*(each.tolist() for each in (low, high, total, squares)), [pixels]]
    return Seen(clip, digest.hexdigest(), sums, read)


def shape_of_all(job: Job) -> tuple[int, ...]:
    """Return the shape of the first clip's frames; of one that cannot be exported, it does not matter."""
    for candidate in job.survey.clips:
        try:
            return next(job.verified(candidate).pictures()).shape
        except LeftOutError:
            continue
    return (0, 0, 3)


def _part(job: Job, number: int, split: str, clips: Sequence[Candidate], shape: tuple[int, ...]) -> Part:
    name = f"videos-{number:05d}-{split}"
    file = f"videos/{KEY}/chunk-{number // 1000:03d}/file-{number % 1000:03d}.mp4"

    def make(folder: Path, tick: Tick) -> Made:
        left_out: list[LeftOut] = []
        # The numbers of frames are needed before the first one is encoded; the frames themselves are read again.
        seen = list(in_order(clips, lambda clip: look(job, clip, shape), left_out, tick))
        with tables.Kept(job, name, folder, _SERIES, (PIXELS,)) as kept:
            if seen:
                (folder / file).parent.mkdir(parents=True)
                codec = LOSSLESS if job.options.video == "lossless" else small(shape)
                try:
                    _encode(folder / file, seen, clips[0].fps, codec)
                except LeftOutError as error:  # its number of frames is taken into account already
                    raise ExportError(f"{job.run.root}: {error}; the same command continues") from None
            for each in seen:
                row = each.clip.facts(job.survey.columns) | tables.shapes(each.tables)
                row |= {"video_sha256": None, "pixels_sha256": each.sha256}
                series = {key: tables.lists(table) for key, table in each.tables.items()}
                kept.add(row | series | {PIXELS: text(each.sums)}, each.clip)
            count = kept.close()
        return Made(left_out, {"clips": count, "file": number, "shape": list(shape) if seen else []})

    return Part(name, len(clips), make)


def _encode(video: Path, seen: Sequence[Seen], fps: int, codec: Codec) -> None:
    starts = np.cumsum([0, *(len(each.clip.frames) for each in seen)]).tolist()
    encode(_frames(seen), fps, codec, video, starts[:-1])
    if codec is LOSSLESS:
        _compare(video, seen)


def _frames(seen: Sequence[Seen]) -> Iterator[Frame]:
    for each in seen:
        yield from each.clip.pictures()


def _compare(video: Path, seen: Sequence[Seen]) -> None:
    """Decode a video, and compare each clip in it with its frames."""
    frames = decode(video)
    for each in seen:
        digest = hashlib.sha256()
        for _ in each.clip.frames:
            digest.update(np.ascontiguousarray(next(frames)).data)
        if digest.hexdigest() != each.sha256:
            raise ExportError(f"{each.clip.candidate.name}: its video does not decode to its frames; please report it")

"""What every part of one export knows."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clipfarm_contract.layout import RunFolder
from clipfarm_export.clips import VerifiedClip, verified
from clipfarm_export.errors import LeftOutError
from clipfarm_export.options import Options
from clipfarm_export.survey import Candidate, Survey
from clipfarm_export.video import LOSSLESS, counted, decode, encode, pixels_sha256, small

# What a clip's PNGs become, measured (docs/export.md): enough to make files of about the size that is wanted.
_OF_PNG = {"lossless": 0.15, "h264": 0.025, "png": 1.0}


@dataclass(frozen=True, slots=True)
class Packed:
    """A verified clip in the form in which it is exported."""

    clip: VerifiedClip
    video: bytes | None
    """An MP4; None if the frames are exported as pictures."""
    pictures: tuple[bytes, ...]
    """The PNGs, if the frames are exported as pictures."""
    pixels: str
    """SHA-256 of the frames' RGB values."""
    tables: dict[str, Any]
    """Actions and states, (frames, values) each; None where the clip has none."""
    layers: dict[str, Any]
    """An array a layer."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run, what was found of it, and what to make of it."""

    run: RunFolder
    options: Options
    survey: Survey

    def verified(self, candidate: Candidate) -> VerifiedClip:
        """Return a clip with every hash computed; raises LeftOutError if it is not whole."""
        return verified(candidate, self.run.clip(candidate.index))

    def pack(self, candidate: Candidate) -> Packed:
        """Verify and encode a clip.

        Raises:
            LeftOutError: it is not whole, or lacks something that was asked for.
        """
        clip = self.verified(candidate)
        tables, layers = clip.tables(), {name: clip.layer(name) for name in self.options.layers}
        if self.options.video == "png":
            pictures = tuple(clip.read(name) for name in clip.frames)
            return Packed(clip, None, pictures, pixels_sha256(clip.pictures()), tables, layers)
        digest = hashlib.sha256()
        shape = next(clip.pictures()).shape
        codec = LOSSLESS if self.options.video == "lossless" else small(shape)
        video = encode(counted(clip.pictures(), digest.update), candidate.fps, codec)
        if codec is LOSSLESS and pixels_sha256(decode(video)) != digest.hexdigest():
            raise LeftOutError("its video does not decode to its frames; please report this with the clip's frames")
        return Packed(clip, video, (), digest.hexdigest(), tables, layers)

    def shards(self, clips: Sequence[Candidate], most: int | None = None) -> list[list[Candidate]]:
        """Divide clips into files of about ``shard_bytes`` and ``most`` clips, by the sizes that ``clip.json`` lists.

        So the division is known before anything is encoded, and the same whenever the export is continued.
        """
        found: list[list[Candidate]] = [[]]
        left = float(self.options.shard_bytes)
        for clip in clips:
            size = self._estimate(clip)
            if found[-1] and (size > left or len(found[-1]) == most):
                found.append([])
                left = self.options.shard_bytes
            found[-1].append(clip)
            left -= size
        return found

    def spread(self, count: int) -> list[Candidate]:
        """Return ``count`` clips, evenly spread."""
        clips = self.survey.clips
        count = min(count, len(clips))
        return [clips[i * len(clips) // count] for i in range(count)]

    def _estimate(self, clip: Candidate) -> int:
        layers = sum(clip.size(name) for name in self.options.layers)
        return math.ceil(clip.size("rgb") * _OF_PNG[self.options.video]) + layers


def shard_name(folder: str, stem: str, number: int, of: int, ending: str) -> str:
    """Return ``data/A1-00000-of-00007.parquet``, as hubs expect the files of a table."""
    return f"{folder}/{stem}-{number:05d}-of-{of:05d}.{ending}"

"""The frames of a clip that is an excerpt of a video."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipfarm_contract.excerpt import Excerpt, Videos
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_encode.videos.error import VideoError
from clipfarm_encode.videos.film import read_film
from clipfarm_encode.videos.pictures import pictures, read_pictures

Frames = NDArray[np.uint8]
"""(frames, height, width, 3), RGB."""


def read_excerpt(clip: Clip, allocate: Callable[[tuple[int, ...]], Frames]) -> tuple[Frames, str]:
    """Decode a clip's frames into the array that ``allocate`` returns for its shape.

    Returns:
        The frames, and the SHA-256 of their pixels, which stands for the video in the features' sidecar.

    Raises:
        VideoError: the video is gone, changed, damaged or too short.
        OSError: ``video.json`` cannot be read.
    """
    try:
        excerpt = Excerpt.read(clip)
        root = Path(Videos.read(RunFolder(clip.folder.parent)).root)
    except ContractError as error:
        raise VideoError(str(error)) from None
    path = root / excerpt.video
    try:
        frames = _stack(_read(path, excerpt), excerpt.frames, allocate)
    except VideoError as error:
        raise VideoError(f"{excerpt.video}: {error}") from None
    return frames, hashlib.sha256(np.ascontiguousarray(frames).data).hexdigest()


def _stack(pictures: Iterator[Frames], count: int, allocate: Callable[[tuple[int, ...]], Frames]) -> Frames:
    """Put a clip's pictures into one array, each as it is decoded: a large one has megabytes."""
    first = next(pictures)
    frames = allocate((count, *first.shape))
    for target, each in zip(frames, itertools.chain((first,), pictures), strict=True):
        if each.shape != first.shape:
            sizes = " and ".join(sorted(f"{width} x {height}" for height, width, _ in (first.shape, each.shape)))
            raise VideoError(f"its pictures have different sizes, {sizes}")
        target[:] = each
    return frames


def _read(path: Path, excerpt: Excerpt) -> Iterator[Frames]:
    if not path.exists():
        raise VideoError(f"not found in {path.parent}")
    if path.is_dir():
        listed = pictures(path)
        if len(listed) != excerpt.size:
            raise VideoError(f"found {len(listed)} pictures, expected {excerpt.size} as when it was cut")
        return read_pictures(listed[excerpt.first : excerpt.first + excerpt.frames])
    if (size := path.stat().st_size) != excerpt.size:
        raise VideoError(f"found {size} bytes, expected {excerpt.size} as when it was cut")
    if excerpt.fps is None:
        raise VideoError("found a file, expected a folder of pictures as when it was cut")
    return read_film(path, excerpt.first, excerpt.frames, excerpt.fps)

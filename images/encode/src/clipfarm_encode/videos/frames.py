"""The frames of a clip that is an excerpt of a video."""

import hashlib
from collections.abc import Callable
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
        found = _read(path, excerpt)
    except VideoError as error:
        raise VideoError(f"{excerpt.video}: {error}") from None
    if len(shapes := {each.shape for each in found}) > 1:
        sizes = " and ".join(sorted(f"{width} x {height}" for height, width, _ in shapes))
        raise VideoError(f"{excerpt.video}: its pictures have different sizes, {sizes}")
    frames = allocate((len(found), *found[0].shape))
    for target, each in zip(frames, found, strict=True):
        target[:] = each
    return frames, hashlib.sha256(np.ascontiguousarray(frames).data).hexdigest()


def _read(path: Path, excerpt: Excerpt) -> list[Frames]:
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

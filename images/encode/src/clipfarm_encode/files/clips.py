"""The frames of a clip: what it says of them, and their pixels."""

import hashlib
import io
import itertools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from clipfarm_contract import regular
from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.features import frames_sha256
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip
from clipfarm_encode.files import png
from clipfarm_encode.videos.error import VideoError
from clipfarm_encode.videos.frames import read_excerpt

Frames = NDArray[np.uint8]
"""(frames, height, width, 3), RGB."""

MOST_PNG_BYTES = 2**28
"""More than a picture without compression takes whose decoder would not refuse it."""
_FRAME = re.compile(r"(\D*)(\d+)(\D*)", re.ASCII)
_MODES = ("RGB", "RGBA", "L", "LA", "P", "1")


class ClipError(ValueError):
    """A clip cannot be encoded; the message says why, in one line."""


class UnreadableError(ClipError):
    """An error of reading hides a clip's frames; it may pass."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The frames of a clip, and what they were read from."""

    frames: Frames
    sha256: str
    """Of what was read (:func:`clipfarm_contract.features.frames_sha256`)."""


def _new_array(shape: tuple[int, ...]) -> Frames:
    return np.empty(shape, np.uint8)


def read_frames(clip: Clip) -> Frames:
    """Return the frames of a clip.

    Raises:
        ClipError: as of :func:`read_clip`.
    """
    return read_clip(clip).frames


def read_clip(clip: Clip, allocate: Callable[[tuple[int, ...]], Frames] = _new_array) -> Decoded:
    """Decode a clip into the array that ``allocate`` returns for its shape.

    With a ``clip.json``, names, number, size and SHA-256 of the frames have to be what it says. Without one, as in
    folders that clipfarm did not make, all of ``rgb/*.png`` are taken in order of their numbers.

    Raises:
        ClipError: a frame is missing, damaged, or unlike the others.
        UnreadableError: one cannot be read.
    """
    try:
        manifest = ClipManifest.read(clip.manifest)
    except FileNotFoundError:
        if regular.may_exist(clip.excerpt):
            return _of_a_video(clip, allocate)
        return _stack([(path, None) for path in _in_order(_paths(clip))], None, allocate)
    except OSError as error:
        raise _unreadable("clip.json", error) from None
    except ContractError as error:
        raise ClipError(str(error)) from None
    picture = manifest.recipe.picture
    paths = _paths(clip)
    if len(paths) != picture.frames:
        raise ClipError(f"rgb: {len(paths)} frames, expected {picture.frames}")
    frames: list[tuple[Path, str | None]] = []
    for i, path in enumerate(paths):
        entry = manifest.files.get(f"rgb/{path.name}")
        if entry is None:
            raise ClipError(f"rgb/{path.name}: not in clip.json")
        if path != clip.frame(i):
            raise ClipError(f"rgb/{path.name}: found in place of {clip.frame(i).name}")
        try:
            size = path.stat().st_size
        except OSError as error:
            raise _unreadable(f"rgb/{path.name}", error) from None
        if size != entry.size:
            raise ClipError(f"rgb/{path.name}: {size} bytes, expected {entry.size}")
        frames.append((path, entry.sha256))
    return _stack(frames, picture.resolution, allocate)


def _of_a_video(clip: Clip, allocate: Callable[[tuple[int, ...]], Frames]) -> Decoded:
    try:
        return Decoded(*read_excerpt(clip, allocate))
    except VideoError as error:
        raise ClipError(str(error)) from None
    except OSError as error:
        raise _unreadable(clip.excerpt.name, error) from None


def _unreadable(where: str, error: OSError) -> ClipError:
    """Return what an error of reading says of a clip: if something is not there, that it is wrong."""
    if regular.is_gone(error):
        return ClipError(f"{where}: {error.strerror}")
    return UnreadableError(f"cannot be read: {where}: {regular.describe(error)}")


def _paths(clip: Clip) -> list[Path]:
    """Return the frames in order of their names; what begins with a dot is none."""
    try:
        names = sorted(os.listdir(clip.rgb))  # noqa: PTH208  a name is all that is needed of thousands of entries
    except FileNotFoundError:
        raise ClipError("rgb: missing") from None
    except OSError as error:
        raise _unreadable("rgb", error) from None
    paths = [clip.rgb / name for name in names if name.lower().endswith(".png") and not name.startswith(".")]
    if not paths:
        raise ClipError("rgb: no frames")
    return paths


def _in_order(paths: list[Path]) -> list[Path]:
    """Return frames in order of their numbers: the one number of each name, which is otherwise the same in all.

    Raises:
        ClipError: a name has no number or several, is unlike the others, or a number is missing or there twice.
    """
    numbered: dict[int, Path] = {}
    first: tuple[str, str] | None = None
    for path in paths:
        found = _FRAME.fullmatch(path.stem)
        if found is None:
            raise ClipError(f"rgb/{path.name}: expected one number in its name, as in frame_00012.png")
        before, number, after = found.groups()
        first = first or (before, after)
        if (before, after) != first:
            raise ClipError(f"rgb/{path.name}: named unlike {paths[0].name}, so their order is not known")
        if (other := numbered.setdefault(int(number), path)) != path:
            raise ClipError(f"rgb/{path.name}: has the same number as {other.name}")
    order = sorted(numbered)
    for number, following in itertools.pairwise(order):
        if following != number + 1:
            raise ClipError(f"rgb/{numbered[following].name}: follows on {numbered[number].name}; frames are missing")
    return [numbered[number] for number in order]


def _stack(
    files: list[tuple[Path, str | None]], resolution: int | None, allocate: Callable[[tuple[int, ...]], Frames]
) -> Decoded:
    """Decode frames into one array; all have to be of ``resolution``, or of the first one's size.

    Args:
        files: each with the SHA-256 that it has to have, where that is known.
        resolution: height and width, pixels.
        allocate: returns the array.
    """
    first, sha256 = _decode(*files[0])
    hashes = [sha256]
    height, width = (resolution, resolution) if resolution else first.shape[:2]
    frames = allocate((len(files), height, width, 3))
    for i, (path, expected) in enumerate(files):
        if i == 0:
            frame = first
        else:
            frame, sha256 = _decode(path, expected)
            hashes.append(sha256)
        if frame.shape != frames.shape[1:]:
            found = f"{frame.shape[1]} x {frame.shape[0]}"
            raise ClipError(f"rgb/{path.name}: {found} pixels, expected {width} x {height}")
        frames[i] = frame
    return Decoded(frames, frames_sha256(hashes))


def _decode(path: Path, expected: str | None) -> tuple[Frames, str]:
    """Decode one PNG, and return it with its SHA-256.

    Pillow, not torchvision: its decoder (0.29) brings the whole process down with a segmentation fault when a byte of
    the compressed pixels is wrong. Both are as fast.
    """
    where = f"rgb/{path.name}"
    try:
        data = regular.read(path, where, MOST_PNG_BYTES)
    except FileNotFoundError:
        raise ClipError(f"{where}: missing") from None
    except OSError as error:
        raise _unreadable(where, error) from None
    except ContractError as error:
        raise ClipError(str(error)) from None
    sha256 = hashlib.sha256(data).hexdigest()
    if expected is not None and sha256 != expected:
        raise ClipError(f"{where}: damaged (its SHA-256 is not the one in clip.json)")
    try:
        chunks = png.read(data)
        with Image.open(io.BytesIO(chunks.picture), formats=["PNG"]) as image:
            if chunks.depth > 8:
                raise ClipError(f"{where}: {chunks.depth} bits a channel, expected 8")
            if chunks.animated:
                raise ClipError(f"{where}: an animated PNG, expected one picture")
            if image.mode not in _MODES:
                raise ClipError(f"{where}: pixels of mode {image.mode}, expected 8-bit RGB")
            pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except UnidentifiedImageError:
        raise ClipError(f"{where}: not a PNG") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, ClipError):
            raise
        raise ClipError(f"{where}: damaged ({error})") from None
    if not chunks.ended:
        raise ClipError(f"{where}: truncated")
    return pixels, sha256

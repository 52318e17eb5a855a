"""What files of a clip hold, read to be compared with those of another making; they may be damaged."""

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from clipfarm_contract import npy, regular
from clipfarm_contract.experiment import Picture
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layers import MOST_BYTES
from clipfarm_contract.layout import Clip
from clipfarm_contract.text import printable

NUMBERS = 1e-6
"""Relative difference of two numbers of the motion that count as the same: float32 holds no more."""
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = struct.Struct(">16x2I")
"""Width and height, behind the beginning of the file and of its first chunk."""


class UnmeasurableError(Exception):
    """A file of a clip cannot be compared; the message says which, and why."""


@contextmanager
def measuring(path: Path) -> Iterator[None]:
    """Name the file that cannot be measured."""
    try:
        yield
    # Foreign parsers on files that may be damaged: numpy raises EOFError and BadZipFile among others, Pillow
    # SyntaxError, and neither documents all that it raises.
    except Exception as error:
        why = printable(" ".join(str(error).split())).removeprefix(f"{path.name}: ")
        raise UnmeasurableError(f"{path.name}: {why or type(error).__name__}") from error


def pixels(path: Path, like: Any = None) -> Any:
    """Return a frame (height, width, ...).

    Raises:
        ValueError: it is no frame, or has another shape or type than the one it should be like.
    """
    import numpy as np
    from PIL import Image

    if path.suffix == ".npy":
        return array(path, like)
    data = content(path)
    if not data.startswith(_PNG) or len(data) < _PNG_HEAD.size:
        raise ValueError("it does not begin as a PNG does")
    width, height = _PNG_HEAD.unpack_from(data)
    if like is not None and (height, width) != like.shape[:2]:  # before any memory is taken for them
        raise ValueError(f"found shape {(height, width)}, expected {like.shape[:2]}")
    with Image.open(BytesIO(data), formats=["PNG"]) as picture:
        picture.verify()  # of all checksums, some of which decoding passes over
    with Image.open(BytesIO(data), formats=["PNG"]) as picture:
        if picture.mode not in ("L", "RGB"):
            raise ValueError(f"found a picture of kind {picture.mode}, expected grey or RGB")
        values = np.asarray(picture)
    if like is not None and values.shape != like.shape:
        raise ValueError(f"found shape {values.shape}, expected {like.shape}")
    return values


def array(path: Path, like: Any = None) -> Any:
    """Return what a NumPy file holds.

    Raises:
        OSError: it cannot be read.
        ContractError: it is no whole NumPy file.
        ValueError: it has another shape or type than the one it should be like.
    """
    import numpy as np

    data = content(path)
    head = npy.Head.parse(data[: npy.LONGEST_HEAD])
    kind = np.dtype(f"<{head.item}")
    if like is not None and (head.shape, kind) != (like.shape, like.dtype):
        raise ValueError(f"found shape {head.shape} of {kind}, expected {like.shape} of {like.dtype}")
    if len(data) != head.start + head.value_bytes:
        raise ContractError(f"{len(data)} bytes, expected {head.start + head.value_bytes}")
    return np.frombuffer(data, kind, offset=head.start).reshape(head.shape)


def preview_of(clip: Clip, again: Clip, picture: Picture) -> bytes:
    """Return the preview that belongs to a clip's frames, made as the renderer makes it.

    A palette follows the whole picture, so a step in a few pixels of a frame may change many of its preview. Made of
    the clip's own frames, it is the same to the byte.
    """
    from PIL import Image

    pictures = []
    for i in range(picture.frames):
        frame = Image.fromarray(pixels(clip.frame(i), like=pixels(again.frame(i))))
        pictures.append(frame.quantize(colors=128, method=Image.Quantize.MEDIANCUT))
    first, *rest = pictures
    made = BytesIO()
    duration = round(100 / picture.fps) * 10
    first.save(made, format="GIF", save_all=True, append_images=rest, duration=duration, loop=0)
    return made.getvalue()


def content(path: Path) -> bytes:
    """Return the bytes of a regular file that is no larger than a layer can be."""
    return regular.read(path, path.name, MOST_BYTES)


def same_array(ours: Path, theirs: Path) -> bool:
    """Return whether two arrays of the motion are the same to the digits that count."""
    import numpy as np

    other = array(theirs)
    return bool(np.allclose(array(ours, like=other), other, rtol=NUMBERS, atol=NUMBERS))


def same_json(ours: Path, theirs: Path) -> bool:
    """Return whether two JSON files hold the same, numbers to the digits that count."""
    one, other = (load(regular.read(path, path.name), path.name) for path in (ours, theirs))
    return _same(one, other)


def _same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=NUMBERS, abs_tol=NUMBERS)
    return type(one) is type(other) and one == other

"""A folder of pictures as a video."""

import os
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from clipfarm_encode.videos.error import VideoError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MODES = ("RGB", "RGBA", "RGBX", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr")
"""Of Pillow, with values of 8 bits or fewer."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What shows a picture upright, by the orientation that its camera recorded."""
_DIGITS = re.compile(r"(\d+)", re.ASCII)


def pictures(folder: Path) -> list[Path]:
    """Return a folder's pictures, in order of the numbers in their names; what begins with a dot is none.

    Raises:
        OSError: the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_picture(entry.name) and entry.is_file()]
    return [folder / name for name in sorted(names, key=_by_number)]


def is_picture(name: str) -> bool:
    """Tell whether a name is that of a picture."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def read_pictures(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures as (height, width, 3) RGB, each as it is to be shown: a camera may have been held upright.

    Raises:
        VideoError: one cannot be decoded, or has values of more than 8 bits, which Pillow would clip.
    """
    for path in paths:
        try:
            with Image.open(path) as picture:
                if picture.mode not in MODES:
                    raise VideoError(f"{path.name}: pixels of mode {picture.mode}, expected values of 8 bits")
                yield np.asarray(_upright(picture).convert("RGB"))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            if isinstance(error, VideoError):
                raise
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged, or no picture"
            raise VideoError(f"{path.name}: {reason}") from None


def _upright(picture: Image.Image) -> Image.Image:
    """Return a picture as it is to be shown; as it is stored if its Exif data cannot be read.

    Pillow's own ``exif_transpose`` also writes these data again, which fails for some that can be read.
    """
    picture.load()  # what is wrong with the pixels is an error
    try:
        turn = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except (struct.error, SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError):
        return picture
    return picture if turn is None else picture.transpose(turn)


def _by_number(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return what sorts names by their numbers; of those that differ in zeros alone, the name itself decides."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(name)], name

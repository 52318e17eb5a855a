"""A folder of pictures as a video."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from clipfarm_encode.videos.error import VideoError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
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


def read_pictures(paths: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """Return pictures as (height, width, 3) RGB.

    Raises:
        VideoError: one cannot be decoded.
    """
    found = []
    for path in paths:
        try:
            with Image.open(path) as picture:
                found.append(np.asarray(picture.convert("RGB")))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged, or no picture"
            raise VideoError(f"{path.name}: {reason}") from None
    return found


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(name)]

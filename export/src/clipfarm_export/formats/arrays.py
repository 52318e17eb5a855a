"""Arrays and pictures as files in memory, and back."""

import io
from typing import Any

import numpy as np
from PIL import Image

from clipfarm_export.video import Frame


def npy_bytes(values: Any) -> bytes:
    """Return an array as the bytes of a .npy file."""
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def npy_array(content: bytes) -> Any:
    """Return the array of a .npy file."""
    return np.load(io.BytesIO(content), allow_pickle=False)


def png_pixels(content: bytes) -> Frame:
    """Return the pixels of a PNG."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))

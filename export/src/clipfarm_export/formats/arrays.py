"""Arrays as files in memory."""

import io
from typing import Any

import numpy as np


def npy_bytes(values: Any) -> bytes:
    """Return an array as the bytes of a .npy file."""
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()

"""Reading the EXR files that Blender writes."""

from collections.abc import Sequence
from pathlib import Path

import Imath
import numpy as np
import numpy.typing as npt
import OpenEXR


def read(path: Path, channels: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return (height, width, channels) of the named channels, rows from the top."""
    file = OpenEXR.InputFile(str(path))
    try:
        window = file.header()["dataWindow"]
        size = window.max.y - window.min.y + 1, window.max.x - window.min.x + 1
        kind = Imath.PixelType(Imath.PixelType.FLOAT)
        planes = [np.frombuffer(data, np.float32).reshape(size) for data in file.channels(list(channels), kind)]
    finally:
        file.close()
    return np.stack(planes, axis=-1)

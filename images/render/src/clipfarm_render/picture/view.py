"""From linear light to what is seen: Blender's view transform, by OpenColorIO itself.

Blender applies it only to files that it writes. The library and Blender's own configuration give the same numbers
without a file for each picture. At 16 bits they may be one step apart, on processors for which the two choose different
instructions.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
import PyOpenColorIO as ocio  # noqa: N813 - as its own documentation calls it

TRANSFORM, LOOK = "Filmic", "High Contrast"
"""Blender 4 starts with AgX, which pulls saturated colours towards white; Kubric's scenes are made for Filmic."""
DISPLAY = "sRGB"


def seen(linear: npt.NDArray[np.float32], depth: int = 8) -> npt.NDArray[Any]:
    """Return a picture (height, width, 3) of linear light in whole numbers of ``depth`` bits, 8 or 16."""
    picture = np.array(linear, np.float32, order="C")
    _processor().applyRGB(picture)
    most, kind = np.float32(2**depth - 1), np.uint8 if depth == 8 else np.uint16
    return (picture.clip(0, 1) * most + np.float32(0.5)).astype(kind)


def load() -> None:
    """Read the configuration, which Blender knows the place of; after that :func:`seen` may be called in any thread."""
    _processor()


@lru_cache(maxsize=1)
def _processor() -> Any:
    folder = Path(bpy.utils.resource_path("LOCAL")) / "datafiles" / "colormanagement"
    config = ocio.Config.CreateFromFile(str(folder / "config.ocio"))
    # As Blender composes it: the look in its own space, then the view, which is not to apply a look of its own.
    space = config.getLook(LOOK).getProcessSpace()
    linear = config.getColorSpace("scene_linear").getName()
    group = ocio.GroupTransform()
    group.appendTransform(ocio.LookTransform(src=linear, dst=space, looks=LOOK))
    group.appendTransform(ocio.DisplayViewTransform(src=space, display=DISPLAY, view=TRANSFORM, looksBypass=True))
    return config.getProcessor(group).getDefaultCPUProcessor()

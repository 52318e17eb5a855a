"""From decoded frames to what the model takes, as the publisher of V-JEPA 2 does it.

Short side to 256/224 of the crop, bilinear; centre crop; ImageNet's mean and standard deviation. Of a clip that is
as large as the crop this cuts 6 % from each side. Resizing works on 8-bit values and rounds to them, and it
smooths where it shrinks (``antialias``), both as transformers' ``VJEPA2VideoProcessor`` does.

Two steps, because they happen in two places: :func:`resize_and_crop` beside the decoder, where the result is a
quarter of the size of float32, and :func:`normalise` on the device.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# ImageNet's, of red, green and blue, in units of the full 8-bit range.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How large the model sees a clip."""

    crop: int
    """Height and width of what the model sees, pixels."""

    @property
    def resize(self) -> int:
        """Length of the short side before the crop, pixels."""
        return self.crop * 256 // 224

    def to_json(self) -> dict[str, Any]:
        """Return what a features' sidecar says of it."""
        return {
            "resize": self.resize,
            "crop": self.crop,
            "interpolation": "bilinear",
            "antialias": True,
            "mean": list(MEAN),
            "std": list(STD),
        }


def resize_and_crop(frames: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(frames, 3, height, width) uint8 to (frames, 3, crop, crop) uint8."""
    height, width = frames.shape[-2:]
    short = min(height, width)
    size = [preprocessing.resize * height // short, preprocessing.resize * width // short]
    resized = functional.interpolate(frames, size, mode="bilinear", antialias=True)
    # Rounded down where an odd number of pixels is left over, as the reference does.
    top, left = ((side - preprocessing.crop) // 2 for side in size)
    cropped: Tensor = resized[..., top : top + preprocessing.crop, left : left + preprocessing.crop].contiguous()
    return cropped


def normalise(frames: Tensor) -> Tensor:
    """(..., 3, height, width) uint8 to float32 with ImageNet's mean 0 and standard deviation 1, on the same device."""
    mean, std = _statistics(frames.device)
    return (frames.to(torch.float32) - mean) / std


@lru_cache(maxsize=64)
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and deviation, (3, 1, 1) each; kept, because a copy to a GPU waits for all that it computes."""
    mean, std = (torch.tensor(values).mul_(255)[:, None, None] for values in (MEAN, STD))
    return mean.to(device), std.to(device)

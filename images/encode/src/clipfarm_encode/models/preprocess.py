"""From decoded frames to what a model takes.

Two steps, because they happen in two places: :func:`resize_and_crop` beside the decoder, where the result is a
quarter of the size of float32, and :func:`normalise` on the device.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Colour = tuple[float, float, float]
"""Of red, green and blue, in units of the full 8-bit range."""


class Statistics(NamedTuple):
    """Mean and standard deviation of the pixels that a model was trained with."""

    mean: Colour
    std: Colour


MOST_SHAPE = 32
"""Length of a picture's long side, in short ones. Resized for a crop of 256 pixels such a picture has 8 MB."""
IMAGENET = Statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a model sees a picture."""

    crop: int
    """Height and width of what the model sees, pixels."""
    resize: int
    """Length of the short side before the crop, pixels."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    statistics: Statistics = IMAGENET
    squash: bool = False
    """Whether both sides become ``resize`` long, whatever the picture's shape."""

    half_pixels: Literal["down", "even"] = "down"
    """How the crop's corner is rounded if an odd number of pixels is cut off: transformers' way, or torchvision's."""

    def to_json(self) -> dict[str, Any]:
        """Return what a features' sidecar says of it."""
        squash = {"squash": True} if self.squash else {}
        return squash | {
            "resize": self.resize,
            "crop": self.crop,
            "interpolation": self.interpolation,
            "antialias": True,
            "mean": list(self.statistics.mean),
            "std": list(self.statistics.std),
        }


def resize_and_crop(frames: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(frames, 3, height, width) uint8 to (frames, 3, crop, crop) uint8.

    Resizing works on 8-bit values and rounds to them, and it smooths if it shrinks (``antialias``), as transformers'
    ``VJEPA2VideoProcessor`` and Pillow do.

    Raises:
        ValueError: the pictures are so long and thin that, resized, they would have gigabytes.
    """
    height, width = frames.shape[-2:]
    size = [preprocessing.resize] * 2
    if not preprocessing.squash:
        short = min(height, width)
        if max(height, width) > MOST_SHAPE * short:
            found = f"pictures of {width} x {height} pixels"
            raise ValueError(f"{found}, expected a long side of at most {MOST_SHAPE} times the short one")
        size = [preprocessing.resize * height // short, preprocessing.resize * width // short]
    resized = functional.interpolate(frames, size, mode=preprocessing.interpolation, antialias=True)
    cut = (side - preprocessing.crop for side in size)
    top, left = (each // 2 if preprocessing.half_pixels == "down" else round(each / 2) for each in cut)
    cropped: Tensor = resized[..., top : top + preprocessing.crop, left : left + preprocessing.crop].contiguous()
    return cropped


def normalise(frames: Tensor, statistics: Statistics = IMAGENET) -> Tensor:
    """(..., 3, height, width) uint8 to float32 with mean 0 and standard deviation 1, on the same device."""
    mean, std = _tensors(statistics, frames.device)
    return (frames.to(torch.float32) - mean) / std


@lru_cache(maxsize=64)
def _tensors(statistics: Statistics, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and deviation, (3, 1, 1) each; kept, because a copy to a GPU waits for all that it computes."""
    mean, std = (torch.tensor(values).mul_(255)[:, None, None] for values in statistics)
    return mean.to(device), std.to(device)

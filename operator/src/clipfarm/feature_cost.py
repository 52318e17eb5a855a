"""What a set of features takes of disk and of time, before the first clip is encoded."""

from dataclasses import dataclass

from clipfarm_contract.feature_sets import FeatureSet
from clipfarm_contract.models import Facts, facts

CPU_FLOP_PER_SECOND = 90e9
"""Of one core: ViT-L's 1.66 TFLOP of 16 frames at 0.113 clips/s on two cores of Zen 4 (bench/RESULTS.md)."""
H200_FLOP_PER_SECOND = 480e12
"""Of one GPU: ViT-L's 4.14 TFLOP of 32 frames at 117 clips/s, from PNG to ``.npy`` (bench/RESULTS.md)."""
DECODED_PER_SECOND = 3_800.0
"""Frames that 16 CPUs decode beside that GPU: a small model waits for them."""
LARGEST_MODEL = Facts(step=1, patch=14, width=1664, layers=48)
"""What is taken for a model whose name says nothing of it: an image encoder as wide as they come."""
_BYTES = {"fp16": 2, "fp32": 4}
_MLP_RATIO = 4


@dataclass(frozen=True, slots=True)
class Cost:
    """What one clip takes."""

    bytes: int
    """On the disk, without the sidecar."""
    flop: float
    """Floating-point operations of the matrix products."""


def seconds_on_h200(found: Cost, frames: int, clips: int) -> float:
    """Return how long a set of so many clips takes on an H200, seconds."""
    return clips * max(found.flop / H200_FLOP_PER_SECOND, frames / DECODED_PER_SECOND)


def cost(each: FeatureSet, frames: int) -> Cost | None:
    """Return what a set takes of a clip of so many frames; None if the model's name does not say its numbers."""
    known = facts(each.model)
    if known is None:
        return None
    asked, patches = each.extraction, (each.crop // known.patch) ** 2
    steps = len(asked.last_frames(frames, known.step))
    kept = 1 if asked.pool == "space" else patches
    values = steps * kept * known.width * max(1, len(asked.layers))
    depth = asked.layers[-1] if asked.layers else known.layers
    flop = sum(_flop(known, length * patches, depth) for length in _lengths(each, frames, known.step))
    return Cost(values * _BYTES[each.dtype], flop)


def _lengths(each: FeatureSet, frames: int, step: int) -> list[int]:
    """Return the time steps of each pass."""
    asked = each.extraction
    lasts = asked.last_frames(frames, step)
    if asked.context == "clip":
        return [frames // step]
    if asked.context == "frame":
        return [1] * len(lasts)
    return [min(asked.window or frames, (last + 1) // step) for last in lasts]


def _flop(known: Facts, tokens: int, layers: int) -> float:
    width = known.width
    patch = 3 * known.step * known.patch**2 * width
    block = (4 + 2 * _MLP_RATIO) * width**2 + 2 * tokens * width
    return 2.0 * tokens * (patch + layers * block)

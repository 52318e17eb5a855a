"""Two makings of one clip: identical, equal within what another processor or GPU may change, or different.

The bytes of a clip are the same on the same kind of processor. Another one rounds some operations otherwise, and a GPU
adds light in another order from run to run, so a few pixels change by a step of 255. How far apart two makings may be
is measured (docs/reproducibility.md, "What another machine changes"); more than that is a fault.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from clipfarm_contract.experiment import LAYERS
from clipfarm_contract.layout import Clip
from clipfarm_contract.machine import Machine
from clipfarm_contract.text import printable

NUMBERS = 1e-6
"""Relative difference of two numbers of the motion that count as the same: float32 holds no more."""
VALUES = 1e-3
"""Difference from which on a pixel of a layer of numbers counts, of its value or of 1, whichever is more."""


class UnmeasurableError(Exception):
    """A file of a clip cannot be compared; the message says which, and why."""


class Verdict(Enum):
    """What a comparison comes to."""

    IDENTICAL = "identical"
    WITHIN = "equal within a bound"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Bound:
    """How far two makings of a clip may be apart, and why."""

    cause: str
    """As in "the bound of another processor"."""
    pixels: float
    """Share of the pixels of all frames that may differ."""
    steps: int
    """By how much each of them may, of 255."""


OTHER_PROCESSOR = Bound("another processor", pixels=0.001, steps=2)
"""Measured: 0.026 % of pixels by one step, Intel Xeon and AMD EPYC."""
SAME_GPU = Bound("another run on the same GPU", pixels=0.0005, steps=2)
"""Measured: 0.004 % of pixels by one step, CUDA on an H200; OptiX 0.002 %."""
OTHER_GPU = Bound("another GPU, or of GPU and CPU", pixels=0.005, steps=16)
"""Measured: 0.12 % of pixels by at most 6 steps, H200 and CPU."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two makings of a clip, compared."""

    verdict: Verdict
    lines: tuple[str, ...]
    """Findings to report, one line each."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a layer of two clips is apart."""

    layer: str
    differing: int
    """Pixels, of all frames together."""
    pixels: int
    most: float
    """The largest difference: steps of 255 where the layer has 8 bits, else its own unit."""

    @property
    def share(self) -> float:
        """Differing pixels as a part of all."""
        return self.differing / self.pixels

    def __str__(self) -> str:
        unit = " of 255" if self.layer == "rgb" else ""
        return (
            f"{self.layer}: {self.differing:,} of {self.pixels:,} pixels differ ({self.share:.4%}), by at most"
            f" {self.most:.3g}{unit}"
        )


def compare(
    clip: Clip, again: Clip, differing: Collection[str], frames: int, first: Machine | None, now: Machine | None
) -> Comparison:
    """Compare two makings of a clip by clipfarm's own renderer.

    Args:
        clip: as it is in the run.
        again: as it was made again.
        differing: their files whose bytes differ, by their paths inside the clip.
        frames: how many each has.
        first: what made the clip in the run; None: not known.
        now: what made it again.
    """
    if not differing:
        return Comparison(Verdict.IDENTICAL, ("every byte is the same",))
    try:
        distances, others = _measured(clip, again, differing, frames)
    except UnmeasurableError as error:
        return Comparison(Verdict.DIFFERENT, (*_each(differing), f"cannot be measured: {error}"))
    where = _where(first, now)
    bounds = allowed(first, now)
    if not others:
        for bound in bounds:
            if all(_within(distance, bound) for distance in distances):
                told = "; ".join(map(str, distances)) or "the preview alone differs"
                return Comparison(Verdict.WITHIN, (f"equal within the bound of {bound.cause}: {told}{where}",))
    expected = "every byte the same" if not bounds else f"at most {bounds[-1].pixels:.2%} by {bounds[-1].steps} of 255"
    found = [*map(str, distances), *(f"{name} differs" for name in others)]
    return Comparison(Verdict.DIFFERENT, (*(f"different: {each}; expected {expected}{where}" for each in found),))


def allowed(first: Machine | None, now: Machine | None) -> tuple[Bound, ...]:
    """Return the bounds within which two makings count as equal, the strictest first; none: to the byte.

    If it is not known what made one of them, each bound may be the one.
    """
    if first is None or now is None:
        return (OTHER_PROCESSOR, OTHER_GPU)
    if not first.gpu and not now.gpu:
        return () if first.processor == now.processor else (OTHER_PROCESSOR,)
    same = first.driver and (first.gpu, first.driver) == (now.gpu, now.driver)
    return (SAME_GPU,) if same else (OTHER_GPU,)


def _within(distance: Distance, bound: Bound) -> bool:
    if distance.share > bound.pixels:
        return False
    # Of the other layers a pixel at the object's edge may show what is behind it.
    return distance.layer != "rgb" or distance.most <= bound.steps


def _where(first: Machine | None, now: Machine | None) -> str:
    if now is None or first == now:
        return ""
    return f"; made on {first or 'a machine that is not recorded'}, and again on {now}"


def _each(names: Iterable[str]) -> list[str]:
    return [f"{name} differs" for name in sorted(names)]


def _measured(clip: Clip, again: Clip, differing: Collection[str], frames: int) -> tuple[list[Distance], list[str]]:
    """Return the distances of layers, and the files that differ otherwise than by a little.

    Raises:
        UnmeasurableError: a file cannot be read, or is not what its name says.
    """
    distances, known = [], {clip.preview.name}  # made of the frames, and of nothing else
    for layer in LAYERS:
        names = {str(clip.layer(layer, i).relative_to(clip.folder)) for i in range(frames)} & set(differing)
        known |= names
        if names:
            distances.append(_distance(layer, [(clip.folder / n, again.folder / n) for n in sorted(names)], frames))
    same: dict[str, Callable[[Path, Path], bool]] = {
        str(path.relative_to(clip.folder)): test
        for path, test in ((clip.actions, _same_array), (clip.states, _same_array), (clip.ground_truth, _same_json))
    }
    others = []
    for name in sorted(set(differing) - known):
        test = same.get(name)
        with _measuring(clip.folder / name):
            if test is None or not test(clip.folder / name, again.folder / name):
                others.append(name)
    return distances, others


@contextmanager
def _measuring(path: Path) -> Iterator[None]:
    """Name the file that cannot be measured."""
    try:
        yield
    # Foreign parsers on files that may be damaged: numpy raises EOFError and BadZipFile among others, Pillow
    # SyntaxError, and neither documents all that it raises.
    except Exception as error:
        why = printable(" ".join(str(error).split()))
        raise UnmeasurableError(f"{path.name}: {why or type(error).__name__}") from error


def _distance(layer: str, pairs: list[tuple[Path, Path]], frames: int) -> Distance:
    differing, most, pixels = 0, 0.0, 0
    for ours, theirs in pairs:
        with _measuring(ours):
            count, of, by = _apart(ours, theirs)
        differing, pixels, most = differing + count, of, max(most, by)
    return Distance(layer, differing, pixels * frames, most)


def _apart(ours: Path, theirs: Path) -> tuple[int, int, float]:
    """Return how many pixels of two frames differ, of how many, and by how much at most."""
    import numpy as np  # what makes clips again brings it along

    one, other = _pixels(ours), _pixels(theirs)
    if one.shape != other.shape:
        raise ValueError(f"shape {one.shape} and {other.shape}")
    with np.errstate(invalid="ignore"):  # infinitely far is as far as infinitely far
        apart = np.where(one == other, 0.0, np.abs(one - other))
    least = 0.0 if ours.suffix == ".png" else VALUES * np.maximum(1.0, np.minimum(np.abs(one), np.abs(other)))
    differs = (apart > least) | np.isnan(apart)
    height, width = one.shape[:2]
    count = int(differs.reshape(height, width, -1).any(axis=-1).sum())
    return count, height * width, float(apart.max())


def _pixels(path: Path) -> Any:
    """Return a frame (height, width, ...) in float64."""
    import numpy as np
    from PIL import Image

    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False).astype(np.float64)
    with Image.open(path) as picture:
        return np.asarray(picture, np.float64)


def _same_array(ours: Path, theirs: Path) -> bool:
    import numpy as np

    one, other = np.load(ours, allow_pickle=False), np.load(theirs, allow_pickle=False)
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=NUMBERS, atol=NUMBERS))


def _same_json(ours: Path, theirs: Path) -> bool:
    return _same(json.loads(ours.read_text()), json.loads(theirs.read_text()))


def _same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=NUMBERS, abs_tol=NUMBERS)
    return one == other

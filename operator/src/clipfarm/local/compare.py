"""Two makings of one clip: identical, equal within what another processor or GPU may change, or different.

The bytes of a clip are the same on the same kind of processor. Another one rounds some operations otherwise, and a GPU
adds light in another order from run to run, so a few pixels change by a step of 255. How far apart two makings may be
is measured (docs/reproducibility.md, "What another machine changes"); more than that is a fault.
"""

import math
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from clipfarm_contract import npy, regular
from clipfarm_contract.experiment import LAYERS, Picture
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layers import MOST_BYTES, THING
from clipfarm_contract.layout import Clip
from clipfarm_contract.machine import Machine
from clipfarm_contract.text import printable

NUMBERS = 1e-6
"""Relative difference of two numbers of the motion that count as the same: float32 holds no more."""
VALUES = 1e-3
"""Difference from which on a pixel of a layer of numbers counts, of its value or of 1, whichever is more."""
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = struct.Struct(">16x2I")
"""Width and height, behind the beginning of the file and of its first chunk."""
EDGE_OF_A_FRAME = 0.1
"""Of the other layers, in one frame: differing pixels, as a share of those that show the object there."""
FEWEST = 4
"""Of the other layers, this many pixels may differ in one frame however few show the object."""
USUAL_OBJECT = 0.01
"""Share of a frame that counts as the object's where no layer tells: no more than objects cover."""


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
    """Share of the pixels of all frames that may differ; twice as many of one frame."""
    steps: int
    """By how much each of them may, of 255."""
    edge: float
    """Of the other layers, which may differ by any amount where an edge falls on a pixel's middle: differing pixels,
    as a share of those that show the object."""


OTHER_PROCESSOR = Bound("another processor", pixels=0.001, steps=2, edge=0.02)
"""Measured: 0.026 % of pixels by one step, Intel Xeon and AMD EPYC."""
SAME_GPU = Bound("another run on the same GPU", pixels=0.0005, steps=2, edge=0.02)
"""Measured: 0.004 % of pixels by one step, CUDA on an H200; OptiX 0.002 %."""
OTHER_GPU = Bound("another GPU, or of GPU and CPU", pixels=0.005, steps=16, edge=0.05)
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
    by_frame: tuple[tuple[int, float], ...]
    """Of each frame that differs: how many pixels do, and how many show the object; rgb is not bound by those, and has
    none."""
    frame: int
    """Pixels of a frame."""
    pixels: int
    """Pixels of all frames."""
    thing: float
    """Pixels of all frames that show the object."""
    most: float
    """The largest difference: steps of 255 where the layer has 8 bits, else its own unit."""

    @property
    def differing(self) -> int:
        """Pixels, of all frames together."""
        return sum(count for count, _ in self.by_frame)

    def within(self, bound: Bound) -> bool:
        """Tell whether it is within a bound, in all frames together and in each."""
        if self.layer == "rgb":
            most = max(count for count, _ in self.by_frame)
            few = self.differing <= bound.pixels * self.pixels and most <= 2 * bound.pixels * self.frame
            return few and self.most <= bound.steps
        if self.differing > bound.edge * self.thing:
            return False
        return all(count <= max(FEWEST, EDGE_OF_A_FRAME * thing) for count, thing in self.by_frame)

    def expected(self, bound: Bound) -> str:
        """Return what a bound allows, for people."""
        if self.layer == "rgb":
            one = f"{2 * bound.pixels:.2%} of the pixels of a frame"
            return f"at most {bound.pixels:.2%} by {bound.steps} of 255, and {one}"
        return (
            f"at most {bound.edge:.0%} of the {self.thing:,.0f} that show the object, and {EDGE_OF_A_FRAME:.0%} of"
            " those of a frame"
        )

    def __str__(self) -> str:
        unit = " of 255" if self.layer == "rgb" else ""
        most = max(count for count, _ in self.by_frame)
        each = f" in {len(self.by_frame)} frames, at most {most:,} in one," if len(self.by_frame) > 1 else ""
        return (
            f"{self.layer}: {self.differing:,} of {self.pixels:,} pixels differ ({self.differing / self.pixels:.4%}),"
            f"{each} by at most {self.most:.3g}{unit}"
        )


def compare(
    clip: Clip, again: Clip, differing: Collection[str], picture: Picture, first: Machine | None, now: Machine | None
) -> Comparison:
    """Compare two makings of a clip by clipfarm's own renderer.

    Args:
        clip: as it is in the run.
        again: as it was made again.
        differing: their files whose bytes differ, by their paths inside the clip.
        picture: what both show.
        first: what made the clip in the run; None: not known.
        now: what made it again.
    """
    if not differing:
        return Comparison(Verdict.IDENTICAL, ("every byte is the same",))
    try:
        distances, others = _measured(clip, again, differing, picture)
    except UnmeasurableError as error:
        return Comparison(Verdict.DIFFERENT, (*_each(differing), f"cannot be measured: {error}"))
    where = _where(first, now)
    bound = allowed(first, now)
    if bound and not others and all(distance.within(bound) for distance in distances):
        told = "; ".join(map(str, distances)) or "the last digits of numbers"
        return Comparison(Verdict.WITHIN, (f"equal within the bound of {bound.cause}: {told}{where}",))
    exact = "every byte the same"
    found = [(str(distance), distance.expected(bound) if bound else exact) for distance in distances]
    found += [
        (f"{name} differs", exact if not bound else "the same but for the last digits of numbers") for name in others
    ]
    return Comparison(
        Verdict.DIFFERENT, (*(f"different: {each}; expected {expected}{where}" for each, expected in found),)
    )


def allowed(first: Machine | None, now: Machine | None) -> Bound | None:
    """Return the bound within which two makings count as equal; None: to the byte.

    What is not known of a machine loosens nothing: unless a GPU is known to have taken part, none has.
    """
    if first is None or now is None:
        known = first or now
        return OTHER_GPU if known is not None and known.gpu else OTHER_PROCESSOR
    if not first.gpu and not now.gpu:
        return None if first.processor == now.processor else OTHER_PROCESSOR
    same = first.driver and (first.gpu, first.driver) == (now.gpu, now.driver)
    return SAME_GPU if same else OTHER_GPU


def _where(first: Machine | None, now: Machine | None) -> str:
    if now is None or first == now:
        return ""
    if first is None:
        counts = "" if now.gpu else ", which counts as another processor (if it was a GPU, use --device gpu)"
        return f"; made on a machine that is not recorded{counts}, and again on {now}"
    return f"; made on {first}, and again on {now}"


def _each(names: Iterable[str]) -> list[str]:
    return [f"{name} differs" for name in sorted(names)]


def _measured(
    clip: Clip, again: Clip, differing: Collection[str], picture: Picture
) -> tuple[list[Distance], list[str]]:
    """Return the distances of layers, and the files that differ otherwise than by a little.

    Raises:
        UnmeasurableError: a file cannot be read, or is not what its name says.
    """
    distances: list[Distance] = []
    known: set[str] = set()
    frames = picture.frames

    @cache  # every layer asks for every frame
    def shown(i: int) -> float:
        return _shown(again, i, picture.resolution**2)

    for layer in LAYERS:
        names = [str(clip.layer(layer, i).relative_to(clip.folder)) for i in range(frames)]
        known.update(names)
        if not set(names).isdisjoint(differing):
            apart = [i for i in range(frames) if names[i] in differing]
            distances.append(_distance(layer, clip, again, apart, frames, (lambda _: 0.0) if layer == "rgb" else shown))
    same: dict[str, Callable[[Path, Path], bool]] = {
        str(path.relative_to(clip.folder)): test
        for path, test in ((clip.actions, _same_array), (clip.states, _same_array), (clip.ground_truth, _same_json))
    }
    same[clip.preview.name] = lambda ours, theirs: (
        bool(_content(theirs)) and _content(ours) == _preview_of(clip, again, picture)
    )
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
        why = printable(" ".join(str(error).split())).removeprefix(f"{path.name}: ")
        raise UnmeasurableError(f"{path.name}: {why or type(error).__name__}") from error


def _distance(
    layer: str, clip: Clip, again: Clip, differing: Collection[int], frames: int, shown: Callable[[int], float]
) -> Distance:
    by_frame, most, pixels = [], 0.0, 0
    for i in differing:
        ours = clip.layer(layer, i)
        with _measuring(ours):
            count, pixels, by = _apart(ours, again.layer(layer, i))
        by_frame.append((count, shown(i)))
        most = max(most, by)
    return Distance(layer, tuple(by_frame), pixels, pixels * frames, sum(map(shown, range(frames))), most)


def _shown(clip: Clip, i: int, pixels: int) -> float:
    """Return how many pixels of a frame show the object, by the first layer that tells.

    It is asked of the clip that was made again: what is in the other one must not widen its own bound.
    """
    import numpy as np

    for layer in ("segmentation", "object_coordinates", "flow"):
        path = clip.layer(layer, i)
        if path.exists():
            with _measuring(path):
                values = _pixels(path)
            shown = values == THING if layer == "segmentation" else (np.abs(values) > VALUES).any(axis=-1)
            return float(shown.sum())
    return USUAL_OBJECT * pixels


def _apart(ours: Path, theirs: Path) -> tuple[int, int, float]:
    """Return how many pixels of two frames differ, of how many, and by how much at most."""
    import numpy as np  # what makes clips again brings it along

    other = _pixels(theirs)
    one = _pixels(ours, like=other).astype(np.float64)
    other = other.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(one == other, 0.0, np.abs(one - other))  # infinitely far is as far as infinitely far
        least = 0.0 if ours.suffix == ".png" else VALUES * np.maximum(1.0, np.minimum(np.abs(one), np.abs(other)))
        differs = ~((apart <= least) & np.isfinite(apart))
    height, width = one.shape[:2]
    count = int(differs.reshape(height, width, -1).any(axis=-1).sum())
    return count, height * width, float(apart.max())


def _pixels(path: Path, like: Any = None) -> Any:
    """Return a frame (height, width, ...).

    Raises:
        ValueError: it is no frame, or has another shape or type than the one it should be like.
    """
    import numpy as np
    from PIL import Image

    if path.suffix == ".npy":
        return _array(path, like)
    data = _content(path)
    if not data.startswith(_PNG) or len(data) < _PNG_HEAD.size:
        raise ValueError("it does not begin as a PNG does")
    width, height = _PNG_HEAD.unpack_from(data)
    if like is not None and (height, width) != like.shape[:2]:  # before any memory is taken for them
        raise ValueError(f"found shape {(height, width)}, expected {like.shape[:2]}")
    with Image.open(BytesIO(data), formats=["PNG"]) as picture:
        picture.verify()  # of all checksums, some of which decoding passes over
    with Image.open(BytesIO(data), formats=["PNG"]) as picture:
        if picture.mode not in ("L", "RGB"):
            raise ValueError(f"found a picture of kind {picture.mode}, expected grey or RGB")
        values = np.asarray(picture)
    if like is not None and values.shape != like.shape:
        raise ValueError(f"found shape {values.shape}, expected {like.shape}")
    return values


def _array(path: Path, like: Any = None) -> Any:
    """Return what a NumPy file holds.

    Raises:
        OSError: it cannot be read.
        ContractError: it is no whole NumPy file.
        ValueError: it has another shape or type than the one it should be like.
    """
    import numpy as np

    data = _content(path)
    head = npy.Head.parse(data[: npy.LONGEST_HEAD])
    kind = np.dtype(f"<{head.item}")
    if like is not None and (head.shape, kind) != (like.shape, like.dtype):
        raise ValueError(f"found shape {head.shape} of {kind}, expected {like.shape} of {like.dtype}")
    if len(data) != head.start + head.value_bytes:
        raise ContractError(f"{len(data)} bytes, expected {head.start + head.value_bytes}")
    return np.frombuffer(data, kind, offset=head.start).reshape(head.shape)


def _preview_of(clip: Clip, again: Clip, picture: Picture) -> bytes:
    """Return the preview that belongs to a clip's frames, made as the renderer makes it.

    A palette follows the whole picture, so a step in a few pixels of a frame may change many of its preview. Made of
    the clip's own frames, it is the same to the byte.
    """
    from PIL import Image

    pictures = []
    for i in range(picture.frames):
        frame = Image.fromarray(_pixels(clip.frame(i), like=_pixels(again.frame(i))))
        pictures.append(frame.quantize(colors=128, method=Image.Quantize.MEDIANCUT))
    first, *rest = pictures
    made = BytesIO()
    duration = round(100 / picture.fps) * 10
    first.save(made, format="GIF", save_all=True, append_images=rest, duration=duration, loop=0)
    return made.getvalue()


def _content(path: Path) -> bytes:
    return regular.read(path, path.name, MOST_BYTES)


def _same_array(ours: Path, theirs: Path) -> bool:
    import numpy as np

    other = _array(theirs)
    return bool(np.allclose(_array(ours, like=other), other, rtol=NUMBERS, atol=NUMBERS))


def _same_json(ours: Path, theirs: Path) -> bool:
    one, other = (load(regular.read(path, path.name), path.name) for path in (ours, theirs))
    return _same(one, other)


def _same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=NUMBERS, abs_tol=NUMBERS)
    return type(one) is type(other) and one == other

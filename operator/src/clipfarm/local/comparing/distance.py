"""How far two makings of a clip are apart."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from clipfarm.local.comparing import content
from clipfarm.local.comparing.bounds import Bound
from clipfarm_contract.experiment import LAYERS, Picture
from clipfarm_contract.layers import THING
from clipfarm_contract.layout import VIEWS, Clip

PICTURES = ("rgb", "segmentation")
"""Layers that are pictures of whole numbers."""
VALUES = 1e-3
"""Difference from which on a pixel of a layer of numbers counts, of its value or of 1, whichever is more."""
EDGE_OF_A_FRAME = 0.1
"""Of the other layers, in one frame: differing pixels, as a share of those that show the object there."""
FEWEST = 4
"""Of the other layers, this many pixels may differ in one frame however few show the object."""
USUAL_OBJECT = 0.01
"""Share of a frame that counts as the object's where no layer tells: no more than objects cover."""


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
    view: str = ""
    """Name of the further view that shows it; empty: the clip's own."""

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
        name = f"{VIEWS}/{self.view}/{self.layer}" if self.view else self.layer
        if not self.differing:
            if self.layer in PICTURES:
                return f"{name}: the same pixels in files of other bytes"
            return f"{name}: no value differs by {VALUES:g} or more (at most {self.most:.1e})"
        unit = " of 255" if self.layer == "rgb" else ""
        most = max(count for count, _ in self.by_frame)
        each = f" at most {most:,} in a frame," if len(self.by_frame) > 1 else ""
        return (
            f"{name}: {self.differing:,} of {self.pixels:,} pixels differ ({self.differing / self.pixels:.3%}),"
            f"{each} by at most {self.most:.3g}{unit}"
        )


def measured(clip: Clip, again: Clip, differing: Collection[str], picture: Picture) -> tuple[list[Distance], list[str]]:
    """Return the distances of layers, and the files that differ otherwise than by a little.

    Raises:
        UnmeasurableError: a file cannot be read, or is not what its name says.
    """
    of_views: dict[str, list[str]] = {}
    own = []
    for path in sorted(differing):
        folder, _, rest = path.partition("/")
        view, _, name = rest.partition("/")
        if folder == VIEWS and name:
            of_views.setdefault(view, []).append(name)
        else:
            own.append(path)
    distances, others = _measured(clip, again, own, picture)
    for view, names in of_views.items():
        found, odd = _measured(clip.view(view), again.view(view), names, picture)
        distances += [replace(each, view=view) for each in found]
        others += [f"{VIEWS}/{view}/{name}" for name in odd]
    return distances, others


def _measured(
    clip: Clip, again: Clip, differing: Collection[str], picture: Picture
) -> tuple[list[Distance], list[str]]:
    """Return the distances of the layers of one view, and its files that differ otherwise."""
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
    tests = (
        (clip.actions, content.same_array),
        (clip.states, content.same_array),
        (clip.ground_truth, content.same_json),
    )
    same: dict[str, Callable[[Path, Path], bool]] = {str(path.relative_to(clip.folder)): test for path, test in tests}
    same[clip.preview.name] = lambda ours, theirs: (
        bool(content.content(theirs)) and content.content(ours) == content.preview_of(clip, again, picture)
    )
    others = []
    for name in sorted(set(differing) - known):
        test = same.get(name)
        with content.measuring(clip.folder / name):
            if test is None or not test(clip.folder / name, again.folder / name):
                others.append(name)
    return distances, others


def _distance(
    layer: str, clip: Clip, again: Clip, differing: Collection[int], frames: int, shown: Callable[[int], float]
) -> Distance:
    by_frame, most, pixels = [], 0.0, 0
    for i in differing:
        ours = clip.layer(layer, i)
        with content.measuring(ours):
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
            with content.measuring(path):
                values = content.pixels(path)
            shown = values == THING if layer == "segmentation" else (np.abs(values) > VALUES).any(axis=-1)
            return float(shown.sum())
    return USUAL_OBJECT * pixels


def _apart(ours: Path, theirs: Path) -> tuple[int, int, float]:
    """Return how many pixels of two frames differ, of how many, and by how much at most."""
    import numpy as np  # what makes clips again brings it along

    other = content.pixels(theirs)
    one = content.pixels(ours, like=other).astype(np.float64)
    other = other.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(one == other, 0.0, np.abs(one - other))  # infinitely far is as far as infinitely far
        least = 0.0 if ours.suffix == ".png" else VALUES * np.maximum(1.0, np.minimum(np.abs(one), np.abs(other)))
        differs = ~((apart <= least) & np.isfinite(apart))
    height, width = one.shape[:2]
    count = int(differs.reshape(height, width, -1).any(axis=-1).sum())
    return count, height * width, float(apart.max())

"""What is checked before a clip counts, from the files as they were written."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipfarm_contract.experiments.scene import Scene
from clipfarm_contract.layout import Clip
from clipfarm_render.job import ClipError
from clipfarm_render.scene.camera import Camera

DARK, BRIGHT = 10.0, 245.0
"""Mean grey, of 255, outside of which a picture shows nothing."""


class CheckError(ClipError):
    """A clip does not show what it should; the message names the check and its numbers."""


@dataclass(frozen=True, slots=True)
class Written:
    """A clip read back from its files."""

    frames: npt.NDArray[np.uint8]
    """(frames, height, width, 3)"""
    states: npt.NDArray[np.float32]
    """(frames, ...) as the experiment documents them"""
    corners: npt.NDArray[np.float64]
    """(frames, 8 for each body, 3) corners of the boxes around the bodies, m; NaN while a body is not there"""
    truth: Mapping[str, Any]
    """``ground_truth.json``"""

    def camera(self, scene: Scene) -> Camera:
        """Return what the clip is seen by; the usual camera if it does not say."""
        said = self.truth.get("camera")
        return Camera.parse(said, scene.resolution) if said else Camera(scene.resolution)


Values = Mapping[str, Any]
Check = Callable[[Written, Scene], Values]


def check(clip: Clip, scene: Scene, own: Sequence[Check] = ()) -> Values:
    """Run all checks on a clip's files.

    Args:
        clip: what was written.
        scene: what was to be written.
        own: what its experiment checks beyond ``COMMON``.

    Returns:
        The values found, by check. They depend on the clip's bytes alone.

    Raises:
        CheckError: a check failed.
    """
    return check_written(read(clip, scene), scene, own)


def check_written(written: Written, scene: Scene, own: Sequence[Check]) -> Values:
    """Run all checks on a clip that was read back, as :func:`check` does."""
    found: dict[str, Any] = {"frames": len(written.frames)}
    for rule in (*own, *COMMON):
        found[rule.__name__] = rule(written, scene)
    return found


def read(clip: Clip, scene: Scene) -> Written:
    """Read a clip's files back.

    Raises:
        CheckError: a frame is missing, surplus, unreadable or of another size.
    """
    expected = [clip.frame(i).name for i in range(scene.frames)]
    present = sorted(path.name for path in clip.rgb.iterdir())
    if present != expected:
        odd = sorted(set(present).symmetric_difference(expected))[0]
        raise CheckError(f"frames: found {len(present)} of {scene.frames}, first wrong one {odd}")
    frames = np.stack([_read_frame(clip.frame(i), scene.resolution) for i in range(scene.frames)])
    states = np.load(clip.states)
    if len(states) != scene.frames:
        raise CheckError(f"frames: states have shape {states.shape}, expected {scene.frames} rows")
    truth = json.loads(clip.ground_truth.read_text())
    no_corners = np.zeros((scene.frames, 0, 3))
    bodies = truth["bodies"] if "bodies" in truth else [truth["object"]]
    return Written(frames, states, np.concatenate([no_corners, *(_corners(body) for body in bodies)], axis=1), truth)


def in_view(written: Written, scene: Scene) -> Values:
    """All corners of the boxes around the bodies lie in the picture, on every frame.

    From a camera of the clip's own, the picture's edge may cut what is high up or in a corner of the arena. Then each
    body has to be in the picture at least once with a corner.
    """
    camera = written.camera(scene)
    points = camera.project(written.corners.reshape(-1, 3)).reshape(len(written.corners), -1)
    outside = np.where(np.isnan(points), np.inf, np.minimum(points, scene.resolution - points))
    margins = outside.min(axis=1, initial=float(scene.resolution))
    worst = int(margins.argmin())
    thing = "the object" if "object" in written.truth else "an object"
    if camera != Camera(scene.resolution):
        corners = points.reshape(len(points), -1, 8, 2)
        inside = ((corners >= 0) & (corners <= scene.resolution)).all(axis=3).any(axis=(0, 2))
        if not (inside | np.isnan(corners).all(axis=(0, 2, 3))).all():
            raise CheckError(f"in_view: {thing} is outside of the picture in all frames; give cameraDistance more")
    elif margins[worst] < 0:
        raise CheckError(f"in_view: {thing} leaves the picture by {-margins[worst]:.1f} pixels in frame {worst}")
    return {"marginPixels": rounded(float(margins[worst]))}


def lit(written: Written, scene: Scene) -> Values:
    """No frame is black, and none is white."""
    grey = written.frames.mean(axis=(1, 2, 3))
    if grey.min() < DARK or grey.max() > BRIGHT:
        worst = int(grey.argmin() if grey.min() < DARK else grey.argmax())
        raise CheckError(
            f"lit: frame {worst} has mean brightness {grey[worst]:.1f} of 255, expected {DARK:g} to {BRIGHT:g}"
        )
    return {"darkest": rounded(float(grey.min())), "brightest": rounded(float(grey.max()))}


COMMON: tuple[Check, ...] = (in_view, lit)
"""What every clip is checked for."""


def _read_frame(path: Path, resolution: int) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            size, mode = image.size, image.mode
            pixels = np.asarray(image)
    except OSError as error:
        raise CheckError(f"frames: {path.name} cannot be read ({error})") from error
    if size != (resolution, resolution) or mode != "RGB":
        raise CheckError(f"frames: {path.name} is {size[0]} x {size[1]} {mode}, expected {resolution} squared RGB")
    return pixels


def _corners(thing: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    positions = np.array(thing["trajectory"]["positions"])
    w, x, y, z = np.array(thing["trajectory"]["quaternions"]).T
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    (x0, y0, z0), (x1, y1, z1) = thing["bounds"]
    corners = np.array([(a, b, c) for a in (x0, x1) for b in (y0, y1) for c in (z0, z1)])
    turned: npt.NDArray[np.float64] = np.einsum("ijf,cj->fci", rotation, corners) + positions[:, None]
    turned[~np.array(thing.get("visible", [True] * len(positions)), np.bool_)] = np.nan
    return turned


def farthest(points: npt.NDArray[np.float32], origin: npt.NDArray[np.float32]) -> float:
    """Return the largest distance of points (n, m) from an origin."""
    return float(np.linalg.norm(points.astype(np.float64) - origin, axis=1).max())


def rounded(value: float) -> float:
    """Return a value as it is recorded."""
    return round(value, 4)

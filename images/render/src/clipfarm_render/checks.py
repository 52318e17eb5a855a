"""What is checked before a clip counts, from the files as they were written."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipfarm_contract.experiment import Scene
from clipfarm_contract.layout import Clip
from clipfarm_render.job import ClipError
from clipfarm_render.scene.camera import Camera

REST_LIMIT_M = 1e-4
"""How far the object may drift while it is said to rest."""
REST_LIMIT_GREY = 1.0
"""Mean difference, of 255, between two frames of a scene at rest."""
MOTION_LIMIT_M = 1e-3
"""How far the object has to get between the frame of the push and the next."""
CHANGED_BY = 24
"""A pixel has changed when one of its channels differs by this much of 255: above the noise of any sample count."""
MOTION_LIMIT_PIXELS = 4
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
    """(frames, 2) m"""
    corners: npt.NDArray[np.float64]
    """(frames, 8, 3) corners of the box around the object, m"""


Values = Mapping[str, Any]
Check = Callable[[Written, Scene], Values]


def check(clip: Clip, scene: Scene) -> Values:
    """Run all checks on a clip's files.

    Returns:
        The values found, by check. They depend on the clip's bytes alone.

    Raises:
        CheckError: a check failed.
    """
    written = read(clip, scene)
    found: dict[str, Any] = {"frames": len(written.frames)}
    for rule in RULES:
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
    if states.shape != (scene.frames, 2):
        raise CheckError(f"frames: states have shape {states.shape}, expected {(scene.frames, 2)}")
    return Written(frames, states, _corners(json.loads(clip.ground_truth.read_text())["object"]))


def at_rest(written: Written, scene: Scene) -> Values:
    """Up to the frame of the push, nothing moves."""
    until = scene.impulse.at_frame + 1
    drift = _farthest(written.states[:until], written.states[0])
    first = written.frames[0].astype(np.int16)
    grey = max(float(np.abs(frame - first).mean()) for frame in written.frames[:until])
    if drift > REST_LIMIT_M or grey > REST_LIMIT_GREY:
        raise CheckError(
            f"at_rest: before the push the object moves {drift:.4f} m (limit {REST_LIMIT_M:g}) and the picture "
            f"changes by {grey:.2f} of 255 (limit {REST_LIMIT_GREY:g})"
        )
    return {"drift": _rounded(drift), "grey": _rounded(grey)}


def moves(written: Written, scene: Scene) -> Values:
    """In the frame after the push the object has moved, and the picture shows motion from then on."""
    at = scene.impulse.at_frame
    step = _farthest(written.states[at + 1 : at + 2], written.states[at])
    before = written.frames[at].astype(np.int16)
    pixels = max(int((np.abs(frame - before).max(axis=-1) >= CHANGED_BY).sum()) for frame in written.frames[at + 1 :])
    if step < MOTION_LIMIT_M or pixels < MOTION_LIMIT_PIXELS:
        raise CheckError(
            f"moves: in the frame after the push the object moves {step:.4f} m (at least {MOTION_LIMIT_M:g}), "
            f"and {pixels} pixels change later (at least {MOTION_LIMIT_PIXELS})"
        )
    return {"step": _rounded(step), "pixels": pixels}


def in_view(written: Written, scene: Scene) -> Values:
    """All corners of the box around the object lie in the picture, on every frame."""
    points = Camera(scene.resolution).project(written.corners.reshape(-1, 3)).reshape(len(written.corners), -1)
    margins = np.minimum(points, scene.resolution - points).min(axis=1)
    worst = int(margins.argmin())
    if margins[worst] < 0:
        raise CheckError(f"in_view: the object leaves the picture by {-margins[worst]:.1f} pixels in frame {worst}")
    return {"marginPixels": _rounded(float(margins[worst]))}


def lit(written: Written, scene: Scene) -> Values:
    """No frame is black, and none is white."""
    grey = written.frames.mean(axis=(1, 2, 3))
    if grey.min() < DARK or grey.max() > BRIGHT:
        worst = int(grey.argmin() if grey.min() < DARK else grey.argmax())
        raise CheckError(
            f"lit: frame {worst} has mean brightness {grey[worst]:.1f} of 255, expected {DARK:g} to {BRIGHT:g}"
        )
    return {"darkest": _rounded(float(grey.min())), "brightest": _rounded(float(grey.max()))}


RULES: tuple[Check, ...] = (at_rest, moves, in_view, lit)


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
    return turned


def _farthest(points: npt.NDArray[np.float32], origin: npt.NDArray[np.float32]) -> float:
    return float(np.linalg.norm(points.astype(np.float64) - origin, axis=1).max())


def _rounded(value: float) -> float:
    return round(value, 4)

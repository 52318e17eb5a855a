"""``occlude``: an object passes behind a screen and comes out on the other side.

Files: see :mod:`clipfarm_render.experiments.ensemble`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.checks import Check, CheckError, Written
from clipfarm_render.experiments import ensemble
from clipfarm_render.experiments.ensemble import Ensemble, build, move, truth
from clipfarm_render.experiments.story import Another, Values
from clipfarm_render.scene.fixtures import Fixture, Slab, prism

__all__ = ["CHECKS", "build", "draw", "move", "truth"]

LANE = 0.6
"""Where the object moves along, y, m."""
SCREEN, THICKNESS, HEIGHT = -0.5, 0.12, 2.7
"""The screen's back, y, its thickness, and its height, m: nothing of an object on the lane is seen over it."""
COLOUR = (0.30, 0.20, 0.16)


def screen(width: float) -> Fixture:
    """Return a screen in the middle of the arena."""
    half, depth = width / 2, THICKNESS / 2
    outline = np.array([(-half, 0), (half, 0), (half, HEIGHT), (-half, HEIGHT)])
    slab = Slab((half, depth, HEIGHT / 2), (0.0, SCREEN - depth, HEIGHT / 2))
    return Fixture("screen", prism("screen", outline, SCREEN - THICKNESS, SCREEN), COLOUR, (slab,))


def draw(values: Values, _another: Another, _scene: Scene) -> Ensemble:
    """Return a clip's ensemble."""
    number = ensemble.numbers(values)
    side = 1 if number["side"] else -1
    body = ensemble.spec(0, values, (side * number["way"], LANE, 0.0))
    told = {"speed": number["speed"], "side": "right" if number["side"] else "left", "width": number["width"]}
    velocities = {0: (-side * number["speed"], 0.0, 0.0)}
    return Ensemble((body,), told, number["gravity"], velocities, (screen(number["width"]),), settle=True)


def hides(written: Written, scene: Scene) -> Mapping[str, Any]:
    """The object is seen, then hidden as a whole, then seen again on the other side."""
    hidden = hidden_frames(written, scene)
    first, last = (int(hidden.argmax()), len(hidden) - int(hidden[::-1].argmax())) if hidden.any() else (0, 0)
    if not hidden.any() or hidden[0] or hidden[-1]:
        raise CheckError(
            f"hides: the object is hidden in {int(hidden.sum())} of {len(hidden)} frames, expected some in the middle; "
            "give the clip more frames or the object another speed, or the screen another width"
        )
    return {"first": first, "last": last - 1}


def hidden_frames(written: Written, scene: Scene) -> Any:
    """Return (frames,) whether the screen hides all corners of the box around the object from the camera."""
    eye = np.array(written.camera(scene).position)
    (left, _, _), (right, _, top) = written.truth["fixtures"][0]["bounds"]
    corners = written.corners[:, :8]
    # Where the ray from the eye to a corner passes the plane of the screen's back.
    share = (SCREEN - eye[1]) / (corners[..., 1] - eye[1])
    x, z = (eye[axis] + share * (corners[..., axis] - eye[axis]) for axis in (0, 2))
    return ((share < 1) & (x > left) & (x < right) & (z < top)).all(axis=1)


CHECKS: tuple[Check, ...] = (hides,)

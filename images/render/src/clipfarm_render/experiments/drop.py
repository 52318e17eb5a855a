"""``drop``: objects fall onto the floor side by side, and bounce.

A hit on the floor leaves ``restitution`` of the speed of the point that touches. So a sphere, which falls from a height
h, rises to restitution^2 h again; an object that meets the floor with an edge turns, too. Files: see
:mod:`clipfarm_render.experiments.ensemble`.
"""

import math
from collections.abc import Mapping
from typing import Any

from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.checks import Check, CheckError, Written, rounded
from clipfarm_render.experiments import ensemble
from clipfarm_render.experiments.ensemble import Ensemble, build, move, truth
from clipfarm_render.experiments.story import Another, Values

__all__ = ["CHECKS", "build", "draw", "move", "truth"]

APART = 2.2
"""Between the centres of two objects, m: more than a cube of the largest size is long from corner to corner."""
FALL_LIMIT_M = 0.05
"""How far an object has to fall at least."""


def draw(values: Values, another: Another, _scene: Scene) -> Ensemble:
    """Return a clip's ensemble."""
    number = ensemble.numbers(values)
    count = int(number["bodies"])
    specs = []
    for place in range(count):
        own = values if place == 0 else another(place)
        each = ensemble.numbers(own)
        tilt = ensemble.turned((math.cos(each["yaw"]), math.sin(each["yaw"]), 0), each["tilt"])
        x = number["x"] + APART * (place - (count - 1) / 2)
        specs.append(
            ensemble.spec(
                place,
                own,
                (x, each["y"], each["height"]),
                quaternion=ensemble.after(ensemble.turned((0, 0, 1), each["yaw"]), tilt),
                restitution=number["restitution"],
            )
        )
    told = {"restitution": number["restitution"], "heights": [each.position[2] for each in specs]}
    return Ensemble(tuple(specs), told, number["gravity"], floor_restitution=1.0)


def falls(written: Written, _scene: Scene) -> Mapping[str, Any]:
    """Every object falls."""
    heights = written.states[:, :, 2].astype(float)
    deepest = (heights[0] - heights.min(axis=0)).tolist()
    if min(deepest) < FALL_LIMIT_M:
        raise CheckError(
            f"falls: body_{deepest.index(min(deepest))} falls {min(deepest):.3f} m, expected {FALL_LIMIT_M:g} or more;"
            " give height a larger least value, or the clip more frames"
        )
    return {"least": rounded(min(deepest))}


CHECKS: tuple[Check, ...] = (falls,)

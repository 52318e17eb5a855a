"""``ramp``: objects on a ramp slide down if the tangent of its angle exceeds their friction, or else stay.

Then each slides at g (sin angle - friction cos angle) until it meets the floor; a sphere rolls, at 5/7 of g sin angle.
All start at rest, turned with the ramp. Files: see :mod:`clipfarm_render.experiments.ensemble`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.checks import Check, CheckError, Written, rounded
from clipfarm_render.experiments import ensemble
from clipfarm_render.experiments.ensemble import Ensemble, build, move, truth
from clipfarm_render.experiments.story import Another, Values
from clipfarm_render.scene import arena
from clipfarm_render.scene.fixtures import Fixture, Slab, prism

__all__ = ["CHECKS", "build", "draw", "move", "truth"]

FOOT = 0.6
"""Where the ramp begins, x, m; it rises towards the left wall."""
HALF_WIDTH = 2.9
"""m; three objects of the largest size have room on it."""
APART = 1.8
"""Between the centres of two objects, m: more than a cube of the largest size is wide on its diagonal."""
COLOUR = (0.40, 0.36, 0.29)
"""Linear RGB: as light as the floor's dark tiles, from which every object stands out."""
CONTACT_ERP = 0.005
"""Part of an overlap that a step of the solver takes back. Bullet's own is meant for far longer steps: contacts of a
hull come and go from step to step, and it rocks by a hair. Bullet takes the directions of friction from that motion,
and bounds each direction by itself, so an object stays with up to 2 % less friction than holds it."""
STAYS_M = 0.01
"""An object that is said to stay moves by less. The solver's contacts give way by some tenths of a millimetre."""
SURE = 0.02
"""Friction that is so much above or below the slope, relatively, decides for sure."""


def ramp(angle: float) -> Fixture:
    """Return a ramp of this angle, radians."""
    run = FOOT + arena.HALF_SIZE
    outline = np.array([(-arena.HALF_SIZE, 0), (FOOT, 0), (-arena.HALF_SIZE, run * math.tan(angle))])
    half, thick = run, 1.0
    down, up = (math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))
    middle = (FOOT - half * down[0] - thick * up[0], 0.0, -half * down[1] - thick * up[1])
    slab = Slab((half, HALF_WIDTH, thick), middle, ensemble.turned((0, 1, 0), angle))
    return Fixture("ramp", prism("ramp", outline, -HALF_WIDTH, HALF_WIDTH), COLOUR, (slab,))


def draw(values: Values, another: Another, _scene: Scene) -> Ensemble:
    """Return a clip's ensemble."""
    number = ensemble.numbers(values)
    angle, count = math.radians(number["angle"]), int(number["bodies"])
    tilt, up = ensemble.turned((0, 1, 0), angle), (math.sin(angle), 0.0, math.cos(angle))
    specs = []
    for place in range(count):
        own = values if place == 0 else another(place)
        each = ensemble.numbers(own)
        on = (FOOT - each["way"] * math.cos(angle), APART * ((count - 1) / 2 - place), each["way"] * math.sin(angle))
        turn = ensemble.after(ensemble.turned((0, 0, 1), each["yaw"]), tilt)
        specs.append(ensemble.spec(place, own, on, quaternion=turn, up=up))
    told = {"angle": number["angle"], "slope": math.tan(angle)}
    return Ensemble(tuple(specs), told, number["gravity"], fixtures=(ramp(angle),), contact_erp=CONTACT_ERP)


def slides(written: Written, scene: Scene) -> Mapping[str, Any]:
    """An object whose friction exceeds the slope stays, and one whose friction does not slides down."""
    slope, gravity, found = written.truth["slope"], written.truth["arena"]["gravity"], []
    free = gravity * ((scene.frames - 1) / scene.fps) ** 2 / 2 / (1 + slope**2)
    for place, body in enumerate(written.truth["bodies"]):
        way = float(written.states[-1, place, 0] - written.states[0, place, 0])
        found.append(rounded(way))
        # Along x; a sphere rolls at 5/7 of this, and lower down the floor stops them all.
        expected = free * (slope if body["rolls"] else slope - body["friction"])
        stays = body["friction"] > slope * (1 + SURE) and not body["rolls"]
        leaves = body["friction"] < slope * (1 - SURE) or body["rolls"]
        if (stays and way > STAYS_M) or (leaves and way < min(expected / 2, STAYS_M)):
            raise CheckError(
                f"slides: {body['name']} of friction {body['friction']:.3f} gets {way:.4f} m along a ramp of slope "
                f"{slope:.3f}, expected it to {'stay' if stays else 'slide down'}"
            )
    return {"along": found}


CHECKS: tuple[Check, ...] = (slides,)

"""``slide``: an object slides over the floor from the first frame on."""

import math
from collections.abc import Mapping
from typing import Any

from clipfarm_contract.experiments import factors, looks
from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Uniform
from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.checks import Check, CheckError, Written, rounded
from clipfarm_render.experiments import ensemble
from clipfarm_render.experiments.ensemble import Ensemble, build, move, truth
from clipfarm_render.experiments.story import Another, Values

__all__ = ["CHECKS", "DECLARATION", "build", "draw", "move", "truth"]

DECLARATION = Declaration(
    name="slide",
    meaning="An object slides over the floor from the first frame on",
    factors=(  # in the order of a clip's random numbers: new ones go to the end
        factors.size(0.8, 1.2, most=1.5),
        factors.place("x", "to the right", 1.5, most=2),
        factors.place("y", "away from the camera", 1.5, most=2),
        factors.YAW,
        *factors.COLOUR,
        factors.friction(0.05, 0.5),
        factors.MASS,
        factors.OBJECT,
        Factor("speed", "Speed of the object at the start", Uniform(2, 5), "m/s", least=0, most=12, above=True),
        Factor("direction", "Direction of its motion in the plane of the floor", Uniform(0, math.tau), "radians"),
        factors.GRAVITY,
        *looks.camera(),  # camera, light and floor, which the story does not read
        *looks.LIGHT,
        looks.FLOOR,
    ),
)


def draw(values: Values, _another: Another, _scene: Scene) -> Ensemble:
    """Return what a clip has drawn: here one body, and its velocity in frame 0."""
    number = ensemble.numbers(values)
    body = ensemble.spec(0, values, (number["x"], number["y"], 0.0))
    along = math.cos(number["direction"]), math.sin(number["direction"])
    velocity = (number["speed"] * along[0], number["speed"] * along[1], 0.0)
    return Ensemble((body,), {"speed": number["speed"]}, number["gravity"], velocities={0: velocity}, settle=True)


def glides(written: Written, _scene: Scene) -> Mapping[str, Any]:
    """The object moves in the first step."""
    step = float(abs(written.states[1, 0, :2] - written.states[0, 0, :2]).max())
    if step < 1e-3:
        raise CheckError(f"glides: in the first frame the object moves {step:.4f} m, expected 0.001 m or more")
    return {"step": rounded(step)}


CHECKS: tuple[Check, ...] = (glides,)

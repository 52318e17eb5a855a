"""``push``: an object that rests on a floor with walls gets a push."""

import math

from clipfarm_contract.bounds import MOST_FRICTION
from clipfarm_contract.experiments import looks
from clipfarm_contract.experiments.declaration import OBJECTS, Declaration, Factor
from clipfarm_contract.experiments.factors import GRAVITY
from clipfarm_contract.experiments.laws import Uniform

DECLARATION = Declaration(
    name="push",
    meaning="An object that rests on a floor with walls gets a push",
    factors=(
        Factor(
            "size",
            "Width of the object: the edge of a cube, the diameter of a round one, the longest side of an asset",
            Uniform(1.1, 1.5),
            "m",
            least=0.3,
            most=1.5,  # a larger one leaves the picture where it lies at a wall
        ),
        # The middle of the arena, so that any direction has way to go.
        Factor("x", "Place of the object's centre at the start, to the right", Uniform(-1.5, 1.5), "m", -3, 3),
        Factor("y", "Place of the object's centre at the start, away from the camera", Uniform(-1.5, 1.5), "m", -3, 3),
        Factor("yaw", "Turn of the object about the vertical axis at the start", Uniform(0, math.tau), "radians"),
        Factor("hue", "Hue of the object, as a part of the colour circle", Uniform(0, 1), "", 0, 1),
        Factor("saturation", "Saturation of the object's colour", Uniform(0.8, 1), "", 0, 1),
        Factor(
            "brightness",
            "Brightness of the object's colour, which is darkened until it stands out from the floor",
            Uniform(0.6, 0.95),
            "",
            0,
            1,
        ),
        Factor("friction", "Coefficient of friction between object and floor", Uniform(0.5, 0.9), "", 0, MOST_FRICTION),
        Factor("mass", "Mass of the object", Uniform(0.5, 3), "kg", 0, above=True),
        Factor("impulse", "Magnitude of the push's impulse", Uniform(12, 13), "N s", 0, above=True, each=True),
        Factor(
            "direction",
            "Direction of the push in the plane of the floor, from x to y",
            Uniform(0, math.tau),
            "radians",
            each=True,
        ),
        Factor("object", "Object", OBJECTS),
        Factor("atFrame", "Last frame that shows the object at rest", Uniform(1, 1), "", 0, whole=True, frames_after=1),
        Factor(
            "restitution",
            "Share of the speed across a wall that is left after a hit",
            Uniform(0.5, 0.5),
            "",
            0,
            0.95,  # above, rounding of the solver adds up over many hits
        ),
        Factor("wallFriction", "Coefficient of friction between object and walls", Uniform(0, 0), "", 0, MOST_FRICTION),
        GRAVITY,
        Factor(
            "offset",
            "Distance of the push's line from the object's centre, in widths of the object; to its right, so that above"
            " 0 the object turns counter-clockwise as seen from above",
            Uniform(0, 0),
            "",
            -0.5,
            0.5,
            each=True,
        ),
        Factor(
            "pushes",
            "Number of pushes; each further one draws its impulse, direction and offset anew, and one that would come"
            " after the last frame but one is left out",
            Uniform(1, 1),
            "",
            1,
            128,
            whole=True,
        ),
        Factor("every", "Frames from one push to the next", Uniform(4, 4), "", 1, whole=True),
        *looks.camera(),
        *looks.LIGHT,
        looks.FLOOR,
    ),
)

"""``stack``: objects on top of each other stand, or fall."""

import math

from clipfarm_contract.experiments import factors, looks
from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Uniform

DECLARATION = Declaration(
    name="stack",
    meaning="Objects on top of each other stand or fall",
    factors=(
        factors.size(0.7, 1.0, most=1.0),
        factors.place("x", "to the right", 0.8, most=1.5),
        factors.place("y", "away from the camera", 0.5, most=0.5),  # behind, a high stack leaves the picture
        factors.YAW,
        *factors.COLOUR,
        factors.friction(0.5, 0.9),
        factors.MASS,
        factors.OBJECT,
        Factor("bodies", "Number of objects", Uniform(2, 4), "", 2, 4, whole=True),
        Factor(
            "shift",
            "Distance between the centre of each object and that of the one below it, as a part of the smaller width",
            Uniform(0, 0.5),
            "",
            0,
            0.9,
            each=True,
        ),
        Factor(
            "direction",
            "Direction of that shift in the plane of the floor, from x to y",
            Uniform(0, math.tau),
            "radians",
            each=True,
        ),
        factors.GRAVITY,
        *looks.camera(),
        *looks.LIGHT,
        looks.FLOOR,
    ),
)

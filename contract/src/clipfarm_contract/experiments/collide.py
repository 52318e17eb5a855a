"""``collide``: a moving object meets one at rest."""

import math

from clipfarm_contract.experiments import factors, looks
from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Uniform

DECLARATION = Declaration(
    name="collide",
    meaning="An object that slides over the floor meets another one at rest",
    factors=(
        factors.size(0.8, 1.2, most=1.3),
        # The object at rest.
        factors.place("x", "to the right: of the one at rest", 0.5, most=0.5),
        factors.place("y", "away from the camera: of the one at rest", 0.5, most=0.5),
        factors.YAW,
        *factors.COLOUR,
        factors.friction(0.02, 0.15),
        factors.MASS,
        factors.OBJECT,
        Factor(
            "restitution",
            "Share of the speed of their hit, along its normal, at which the two objects part",
            Uniform(0.3, 0.9),
            "",
            0,
            1,
        ),
        Factor("speed", "Speed of the moving object at the start", Uniform(4, 6), "m/s", 0, 12, above=True),
        Factor(
            "direction",
            "Direction of its motion in the plane of the floor, from x to y",
            Uniform(0, math.tau),
            "radians",
        ),
        Factor("distance", "Distance of the two objects' centres at the start", Uniform(2.3, 2.8), "m", 1.9, 2.8),
        Factor(
            "offset",
            "Distance by which the moving object's centre would pass the other's, in means of their widths",
            Uniform(-0.3, 0.3),
            "",
            -0.6,
            0.6,
        ),
        factors.GRAVITY,
        *looks.camera(),
        *looks.LIGHT,
        looks.FLOOR,
    ),
)

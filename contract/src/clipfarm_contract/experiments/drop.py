"""``drop``: objects fall onto the floor, and bounce."""

import math

from clipfarm_contract.experiments import factors, looks
from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Uniform

DECLARATION = Declaration(
    name="drop",
    meaning="Objects fall onto the floor side by side, and bounce",
    factors=(
        factors.size(0.7, 1.1, most=1.2),
        factors.place("x", "to the right", 0.8, most=0.8),  # three objects side by side take the rest of the arena
        factors.place("y", "away from the camera", 0.8, most=2, each=True),
        factors.YAW,
        *factors.COLOUR,
        factors.friction(0.3, 0.8),
        factors.MASS,
        factors.OBJECT,
        Factor(
            "restitution",
            "Share of the speed of a hit on the floor that is left after it",
            Uniform(0.3, 0.8),
            "",
            0,
            0.95,  # above, rounding of the solver adds up over many bounces
        ),
        Factor(
            "height",
            "Height of each object's lowest point above the floor at the start",
            Uniform(1, 2.5),
            "m",
            0,
            3,
            each=True,
        ),
        Factor(
            "tilt",
            "Angle between each object's own axis and the vertical at the start; the axis of this turn is drawn by yaw",
            Uniform(0, math.pi),
            "radians",
            0,
            math.pi,
            each=True,
        ),
        Factor("bodies", "Number of objects", Uniform(1, 2), "", 1, 3, whole=True),
        factors.GRAVITY,
        *looks.camera(),
        *looks.LIGHT,
        looks.FLOOR,
    ),
)

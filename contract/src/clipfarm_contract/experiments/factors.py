"""Factors that several experiments have, each with what differs as its arguments."""

import math

from clipfarm_contract.bounds import MOST_FRICTION
from clipfarm_contract.experiments.declaration import OBJECTS, Factor
from clipfarm_contract.experiments.laws import Uniform

COLOUR = (
    Factor("hue", "Hue of each object, as a part of the colour circle", Uniform(0, 1), "", 0, 1, each=True),
    Factor("saturation", "Saturation of each object's colour", Uniform(0.8, 1), "", 0, 1, each=True),
    Factor(
        "brightness",
        "Brightness of each object's colour, which is darkened until it stands out from the floor",
        Uniform(0.6, 0.95),
        "",
        0,
        1,
        each=True,
    ),
)
YAW = Factor(
    "yaw", "Turn of each object about the vertical axis at the start", Uniform(0, math.tau), "radians", each=True
)
MASS = Factor("mass", "Mass of each object", Uniform(0.5, 3), "kg", 0, above=True, each=True)
OBJECT = Factor("object", "Objects", OBJECTS, each=True)
GRAVITY = Factor("gravity", "Acceleration of free fall", Uniform(9.81, 9.81), "m/s^2", 0, 30, above=True)


def size(low: float, high: float, most: float) -> Factor:
    """Return the factor of an object's width, by default from ``low`` to ``high``."""
    return Factor(
        "size",
        "Width of each object: the edge of a cube, the diameter of a round one, the longest side of an asset",
        Uniform(low, high),
        "m",
        least=0.3,
        most=most,
        each=True,
    )


def friction(low: float, high: float) -> Factor:
    """Return the factor of friction, by default from ``low`` to ``high``."""
    meaning = "Coefficient of friction between each object and what stands still"
    return Factor("friction", meaning, Uniform(low, high), "", 0, MOST_FRICTION, each=True)


def place(name: str, way: str, reach: float, most: float, *, each: bool = False) -> Factor:
    """Return ``x`` or ``y`` of a start, by default at most ``reach`` m from the middle of the arena."""
    meaning, law = f"Place of the objects' middle at the start, {way}", Uniform(-reach, reach)
    return Factor(name, meaning, law, "m", -most, most, each=each)

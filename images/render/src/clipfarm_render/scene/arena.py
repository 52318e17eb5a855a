"""The arena's fixed measures: floor, walls, camera, lights. Equal in every clip of the push experiment.

Axes: x to the right in the picture, y away from the camera, z up; the origin lies in the middle of the floor.
Lengths in m, angles in radians unless a name says otherwise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

HALF_SIZE = 4.2
"""Half the inner side of the square arena. The largest that keeps a 1.5 m cube wholly in the picture everywhere."""

WALL_THICKNESS = 0.25
WALL_HEIGHT = 0.35
"""As seen. Low, so that the near wall hides little of the cube."""
BARRIER_HEIGHT = 8.0
"""As felt: the barrier behind each wall's inner face is taller than any cube, so that a push cannot tip it over."""

FLOOR_EXTENT = 60.0
"""Half the side of the floor: it fills the picture beyond the walls too."""
GRID_SPACING = 0.7
"""Between grid lines; divides ``HALF_SIZE``, so that lines meet the walls in the corners."""
GRID_LINE_WIDTH = 0.045

GRAVITY = 9.81
"""m / s^2"""

CAMERA_DISTANCE = 14.0
CAMERA_ELEVATION = math.radians(45)
CAMERA_TARGET = (0.0, 0.0, 0.0)
FOCAL_LENGTH_MM = 35.0
SENSOR_WIDTH_MM = 32.0

CAMERA_POSITION = (
    0.0,
    -CAMERA_DISTANCE * math.cos(CAMERA_ELEVATION),
    CAMERA_DISTANCE * math.sin(CAMERA_ELEVATION),
)

# Linear RGB reflectances.
TILE_LIGHT = (0.62, 0.60, 0.56)
TILE_DARK = (0.43, 0.42, 0.395)
GRID_LINE = (0.10, 0.105, 0.12)
SURROUNDINGS = (0.05, 0.054, 0.065)
WALL = (0.16, 0.21, 0.30)


# The other floors: no darker than the dark tiles, from which all objects stand out.
PLAIN = (0.56, 0.54, 0.505)
CHECKER = ((0.66, 0.64, 0.60), (0.45, 0.435, 0.41))
CHECKER_SPACING = 1.4
"""Side of a square; divides ``HALF_SIZE``."""
PLANKS = ((0.66, 0.50, 0.33), (0.61, 0.455, 0.295), (0.585, 0.425, 0.27))
PLANK_WIDTH, PLANK_LENGTH = 0.6, 2.1
"""Along x and y; divide ``HALF_SIZE``."""
PLANK_GAP = (0.16, 0.11, 0.07)
GAP_WIDTH = 0.03

BRIGHTEST: Mapping[str, tuple[float, float, float]] = {
    "tiles": TILE_LIGHT,
    "plain": PLAIN,
    "checker": CHECKER[0],
    "planks": PLANKS[0],
}
"""The lightest part of each floor, by its name."""


@dataclass(frozen=True, slots=True)
class Sun:
    """A light from far away, shining from ``position`` to the origin."""

    name: str
    colour: tuple[float, float, float]
    intensity: float
    """Irradiance of a surface that faces it, W / m^2."""
    position: tuple[float, float, float]


# A warm key light from the left, and a cool weak one from the right that models the faces in shadow.
SUNS = (
    Sun("sun", (1.0, 0.95, 0.86), 4.2, (-7, -3, 9)),
    Sun("fill", (0.78, 0.87, 1.0), 0.9, (8, -5, 7)),
)
SUN_ANGLE = math.radians(2.5)
"""Apparent diameter of both; the sun's own 0.5 degrees would cut shadows out with scissors."""
SKY = (0.24, 0.28, 0.36)
"""Radiance from where a ray meets nothing; it fills the shadows."""

"""What is random in a clip, drawn from the clip's own seed."""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipfarm_contract.experiment import Impulse, Phase, Range
from clipfarm_render.scene.arena import TILE_DARK

SIZE = Range(1.1, 1.5)
"""Width of the object, m: the edge of a cube, the diameter of a round one, the longest side of an asset."""
START = Range(-1.5, 1.5)
"""Where the object's centre starts, on x and on y, m: the middle of the arena, so that any direction has way to go."""
MIN_CONTRAST = 3.0
"""Contrast ratio of the object's colour against the floor's tiles. WCAG 2.1, 1.4.11, asks 3 of graphical objects."""

Vector3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Push:
    """The impulse on the object's centre of mass."""

    magnitude: float
    """N s"""
    direction: float
    """Angle from the x axis in the floor's plane, radians."""
    at_frame: int

    @property
    def x(self) -> float:
        """N s along x."""
        return self.magnitude * math.cos(self.direction)

    @property
    def y(self) -> float:
        """N s along y."""
        return self.magnitude * math.sin(self.direction)


@dataclass(frozen=True, slots=True)
class Sample:
    """All random values of one clip."""

    size: float
    """Width of the object, m."""
    position: tuple[float, float]
    """Where the object's centre starts, x and y, m."""
    yaw: float
    """Rotation about z at the start, radians."""
    colour: Vector3
    """Linear RGB reflectance of the object, 0 to 1."""
    friction: float
    """Coefficient of friction between object and floor, no unit."""
    mass: float
    """kg"""
    push: Push
    shape: str = "cube"
    """A name of ``SHAPES``, or the id of an asset."""


def draw(seed: int, phase: Phase, impulse: Impulse, objects: Sequence[str] = ("cube",)) -> Sample:
    """Draw a clip's values from ``default_rng(seed)``.

    Always the same number of draws in the same order, whatever the ranges hold: changing one range, or how a clip
    is rendered, leaves all other values of the clip as they were. New draws go to the end.
    """
    rng = np.random.default_rng(seed)

    def uniform(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    size = uniform(SIZE.min, SIZE.max)
    position = (uniform(START.min, START.max), uniform(START.min, START.max))
    yaw = uniform(0, math.tau)
    colour = contrasting(hue=uniform(0, 1), saturation=uniform(0.8, 1), value=uniform(0.6, 0.95))
    friction = uniform(phase.friction.min, phase.friction.max)
    mass = uniform(phase.mass.min, phase.mass.max)
    push = Push(uniform(impulse.min, impulse.max), uniform(0, math.tau), impulse.at_frame)
    shape = objects[int(uniform(0, 1) * len(objects))]
    return Sample(size, position, yaw, colour, friction, mass, push, shape)


def contrasting(hue: float, saturation: float, value: float) -> Vector3:
    """Return a colour of this hue, saturation and value (HSV, 0 to 1), darkened until it stands out from the floor.

    The floor is light, so a darker colour of the same hue always exists.

    Returns:
        Linear RGB whose contrast ratio against the darker of the floor's tiles is at least ``MIN_CONTRAST``.
    """
    linear = [_linear(channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value)]
    brightest = (luminance(TILE_DARK) + 0.05) / MIN_CONTRAST - 0.05
    scale = min(1.0, brightest / luminance((linear[0], linear[1], linear[2])))
    return (linear[0] * scale, linear[1] * scale, linear[2] * scale)


def contrast(colour: Vector3, other: Vector3) -> float:
    """Return the contrast ratio of two linear RGB colours, 1 to 21 (WCAG 2.1, "contrast ratio")."""
    dark, light = sorted((luminance(colour), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Vector3) -> float:
    """Return the relative luminance of linear RGB with the primaries of sRGB (WCAG 2.1), 0 to 1."""
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def _linear(channel: float) -> float:
    """Undo sRGB's transfer function (IEC 61966-2-1)."""
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)

"""What is random in a clip, drawn from the clip's own seed."""

import colorsys
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from clipfarm_contract.experiments.declaration import Declaration
from clipfarm_contract.experiments.laws import Value
from clipfarm_contract.experiments.scene import Phase
from clipfarm_render.job import ClipError
from clipfarm_render.scene.arena import GRAVITY, TILE_DARK

RESTITUTION = 0.5
"""Of object against wall, unless a run says otherwise."""
MOST_DRAWS = 1000
"""After so many draws that are held out, a clip fails."""
MIN_CONTRAST = 3.0
"""Contrast ratio of the object's colour against the floor's tiles. WCAG 2.1, 1.4.11, asks 3 of graphical objects."""

Vector3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Push:
    """An impulse on the object."""

    magnitude: float
    """N s"""
    direction: float
    """Angle from the x axis in the floor's plane, radians."""
    at_frame: int
    """The last frame before it."""
    offset: float = 0.0
    """Distance of its line from the centre of mass, m; positive to the right of it."""

    @property
    def x(self) -> float:
        """N s along x."""
        return self.magnitude * math.cos(self.direction)

    @property
    def y(self) -> float:
        """N s along y."""
        return self.magnitude * math.sin(self.direction)

    @property
    def turn(self) -> float:
        """Angular impulse about the vertical axis through the centre of mass, N m s."""
        return self.magnitude * self.offset


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
    more: tuple[Push, ...] = ()
    """Further pushes."""
    restitution: float = RESTITUTION
    """Share of the speed across a wall that is left after a hit."""
    wall_friction: float = 0.0
    """Coefficient of friction between object and walls, no unit."""
    gravity: float = GRAVITY
    """m/s^2"""

    @property
    def pushes(self) -> tuple[Push, ...]:
        """All pushes, in time."""
        return (self.push, *self.more)


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the values of one clip come from."""

    declaration: Declaration
    phase: Phase
    seed: int
    """The clip's own."""
    seed_of: Callable[[str], int] | None = None
    """Returns the seed that a factor is drawn from, by its name; None: the clip's own for all."""
    shifted: tuple[str, ...] = ()
    """Factors whose number is moved by a half, around from 1 to 0: to a value as far away as their laws allow."""

    def values(self, stream: int = 0) -> Mapping[str, Value]:
        """Draw a value for each factor, all of them from ``default_rng(seed)``; further streams are spawned from it.

        Always one number a factor, in the order of the declaration, whatever the laws are: changing a law, or how a
        clip is rendered, leaves all other values of the clip as they were. If the values are held out, the factors that
        an exclusion names are drawn again, from streams of their own. A further object is held out by its own values
        together with those that the whole clip has.

        Raises:
            ClipError: all draws are held out.
        """
        key = (stream,) if stream else ()
        values, shared = self._draw(key), self._shared() if stream else {}
        objects = self.declaration.object_factors()
        for again in range(1, MOST_DRAWS):
            if not any(exclusion.holds(values | shared, objects) for exclusion in self.phase.exclude):
                return values
            fresh = self._draw((stream, again))
            values |= {name: fresh[name] for name in self._named}
        raise ClipError(
            f"exclude of phase {self.phase.name}: found {MOST_DRAWS} draws held out, expected one that is not"
        )

    def _shared(self) -> dict[str, Value]:
        """Return the values of the whole clip, which further objects and pushes do not draw for themselves."""
        if not self.phase.exclude:
            return {}
        return {name: value for name, value in self.values().items() if not self.declaration.by_name[name].each}

    @property
    def _named(self) -> set[str]:
        """The factors that an exclusion names."""
        exclude = self.phase.exclude
        objects = self.declaration.object_factors() if any(each.objects for each in exclude) else ()
        return {*objects, *(name for each in exclude for name in each.factors)}

    def _draw(self, key: tuple[int, ...]) -> dict[str, Value]:
        """Draw from the stream of this key; the empty one is the seed's own."""
        factors, laws = self.declaration.factors, self.phase.laws
        numbers: dict[int, list[float]] = {}

        def number(place: int, factor: str) -> float:
            seed = self.seed if self.seed_of is None else self.seed_of(factor)
            if seed not in numbers:
                sequence = np.random.SeedSequence(seed, spawn_key=key) if key else seed
                numbers[seed] = np.random.default_rng(sequence).random(len(factors)).tolist()
            drawn = numbers[seed][place]
            return (drawn + 0.5) % 1 if factor in self.shifted else drawn

        return {
            factor.name: factor.value(laws[factor.name], number(place, factor.name))
            for place, factor in enumerate(factors)
        }


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

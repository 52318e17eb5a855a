"""The objects that need no files: their meshes, and how mass is spread in them.

All are given for size 1 and mass 1, with the origin in the centre of mass and in the pose in which they rest on
the floor. ``size`` is the width, m. They are low enough for their width that no friction up to 1 tips them over.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Faces = Sequence[tuple[int, ...]]

SEGMENTS = 96
"""Around the axis. The middle of a facet lies 0.05 % of the radius inside the true surface: 0.02 pixels at 256."""
CYLINDER_HEIGHT = 0.7
CONE_HEIGHT = 0.9
TUBE_RADIUS = 0.17
"""Of the torus, whose outer diameter is 1."""
RING_RADIUS = 0.5 - TUBE_RADIUS
"""From the torus' centre to the middle of its tube."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of object."""

    name: str
    vertices: Array
    """(n, 3)"""
    faces: Faces
    """Indexes of vertices, counter-clockwise as seen from outside."""
    inertia: tuple[float, float, float]
    """Principal moments about x, y and z."""
    rolls: bool = False
    """Whether a push makes it roll: then friction slows it down only until it rolls."""

    @property
    def bottom(self) -> float:
        """How far the centre of mass lies above the floor."""
        return -float(self.vertices[:, 2].min())


def shape(name: str) -> Shape:
    """Return one of the shapes that ``clipfarm_contract.experiment.SHAPES`` lists."""
    return _MAKERS[name]()


def _cube() -> Shape:
    vertices = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    faces = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    return Shape("cube", vertices, faces, (1 / 6, 1 / 6, 1 / 6))


def _sphere() -> Shape:
    angles = np.linspace(-math.pi / 2, math.pi / 2, SEGMENTS // 2 + 1)
    profile = [(0.5 * math.cos(angle), 0.5 * math.sin(angle)) for angle in angles[1:-1]]
    return _turned("sphere", [(0, -0.5), *profile, (0, 0.5)], (0.1, 0.1, 0.1), rolls=True)


def _cylinder() -> Shape:
    radius, half = 0.5, CYLINDER_HEIGHT / 2
    across = radius**2 / 4 + CYLINDER_HEIGHT**2 / 12
    profile = [(0, -half), (radius, -half), (radius, half), (0, half)]
    return _turned("cylinder", profile, (across, across, radius**2 / 2))


def _cone() -> Shape:
    radius, height = 0.5, CONE_HEIGHT
    # The centre of mass lies at a quarter of the height.
    across = 3 / 20 * radius**2 + 3 / 80 * height**2
    profile = [(0, -height / 4), (radius, -height / 4), (0, 3 / 4 * height)]
    return _turned("cone", profile, (across, across, 3 / 10 * radius**2))


def _torus() -> Shape:
    ring, tube = RING_RADIUS, TUBE_RADIUS
    across = ring**2 / 2 + 5 / 8 * tube**2
    angles = np.arange(SEGMENTS // 2) * (2 * math.pi / (SEGMENTS // 2))
    profile = [(ring - tube * math.sin(angle), -tube * math.cos(angle)) for angle in angles[::-1]]
    return _turned("torus", profile, (across, across, ring**2 + 3 / 4 * tube**2), closed=True)


def _turned(
    name: str,
    profile: Sequence[tuple[float, float]],
    inertia: tuple[float, float, float],
    *,
    rolls: bool = False,
    closed: bool = False,
) -> Shape:
    """Return a profile of (radius, z), from the bottom to the top on the outside, turned about the z axis."""
    angles = np.arange(SEGMENTS) * (2 * math.pi / SEGMENTS)
    vertices: list[tuple[float, float, float]] = []
    rings: list[list[int]] = []
    for radius, z in profile:
        around = angles if radius else angles[:1]
        rings.append([len(vertices) + i % len(around) for i in range(SEGMENTS)])
        vertices += [(radius * math.cos(angle), radius * math.sin(angle), z) for angle in around]
    faces = []
    for lower, upper in zip(rings, rings[1:] + rings[:1] if closed else rings[1:], strict=False):
        for i in range(SEGMENTS):
            j = (i + 1) % SEGMENTS
            corners = (lower[i], lower[j], upper[j], upper[i])
            # A ring of one vertex is the tip of a cone or the middle of a disc: its facets are triangles.
            faces.append(tuple(dict.fromkeys(corners)))
    return Shape(name, np.array(vertices), tuple(faces), inertia, rolls)


_MAKERS = {"cube": _cube, "sphere": _sphere, "cylinder": _cylinder, "cone": _cone, "torus": _torus}

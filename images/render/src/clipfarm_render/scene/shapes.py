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
    normals: Array
    """(corners of all faces, 3) of the true surface at each corner of each face."""
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
    outward = [np.array(vertices)[list(face)].mean(axis=0) * 2 for face in faces]
    return Shape("cube", vertices, faces, (1 / 6, 1 / 6, 1 / 6), np.repeat(outward, 4, axis=0))


def _sphere() -> Shape:
    angles = np.linspace(-math.pi / 2, math.pi / 2, SEGMENTS // 2 + 1)
    profile = [(0.5 * math.cos(angle), 0.5 * math.sin(angle)) for angle in angles[1:-1]]
    return _turned("sphere", [(0, -0.5), *profile, (0, 0.5)], (0.1, 0.1, 0.1), rounded=True, rolls=True)


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
    return _turned("torus", profile, (across, across, ring**2 + 3 / 4 * tube**2), rounded=True, closed=True)


def _turned(
    name: str,
    profile: Sequence[tuple[float, float]],
    inertia: tuple[float, float, float],
    *,
    rounded: bool = False,
    rolls: bool = False,
    closed: bool = False,
) -> Shape:
    """Return a profile of (radius, z), from the bottom to the top on the outside, turned about the z axis.

    A ``rounded`` profile stands for a curve, any other for straight lines with edges between them.
    """
    step = 2 * math.pi / SEGMENTS
    vertices: list[tuple[float, float, float]] = []
    rings: list[list[int]] = []
    for radius, z in profile:
        # A ring of no radius is one vertex: the tip of a cone, the middle of a disc.
        count = SEGMENTS if radius else 1
        rings.append([len(vertices) + i % count for i in range(SEGMENTS)])
        vertices += [(radius * math.cos(i * step), radius * math.sin(i * step), z) for i in range(count)]
    faces: list[tuple[int, ...]] = []
    normals: list[tuple[float, float, float]] = []
    for lower, upper in _stretches(len(profile), closed=closed):
        slopes = [_slope(profile, end, (lower, upper), rounded=rounded, closed=closed) for end in (lower, upper)]
        for i in range(SEGMENTS):
            corners: dict[int, tuple[float, float, float]] = {}
            for ring, slope, turn in ((lower, 0, i), (lower, 0, i + 1), (upper, 1, i + 1), (upper, 1, i)):
                angle = (turn if profile[ring][0] else i + 0.5) * step
                outward, up = slopes[slope]
                corners.setdefault(
                    rings[ring][turn % SEGMENTS], (outward * math.cos(angle), outward * math.sin(angle), up)
                )
            faces.append(tuple(corners))
            normals += corners.values()
    return Shape(name, np.array(vertices), tuple(faces), inertia, np.array(normals), rolls)


def _stretches(points: int, *, closed: bool) -> list[tuple[int, int]]:
    return [(i, (i + 1) % points) for i in range(points if closed else points - 1)]


def _slope(
    profile: Sequence[tuple[float, float]], at: int, stretch: tuple[int, int], *, rounded: bool, closed: bool
) -> tuple[float, float]:
    """Return the profile's normal, outwards and up, at one end of a stretch."""
    meeting = [stretch]
    if rounded:
        meeting = [other for other in _stretches(len(profile), closed=closed) if at in other]
        if not profile[at][0]:
            return 0.0, math.copysign(1.0, profile[at][1])
    outward = up = 0.0
    for start, end in meeting:
        (r0, z0), (r1, z1) = profile[start], profile[end]
        length = math.hypot(r1 - r0, z1 - z0)
        outward, up = outward + (z1 - z0) / length, up - (r1 - r0) / length
    return outward / math.hypot(outward, up), up / math.hypot(outward, up)


_MAKERS = {"cube": _cube, "sphere": _sphere, "cylinder": _cylinder, "cone": _cone, "torus": _torus}

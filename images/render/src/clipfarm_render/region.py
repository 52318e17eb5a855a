"""Which pixels an object changes, found by a rule with a bound.

Outside of the region that :meth:`Rule.find` returns, the object changes a pixel by less than half a step of the 8-bit
picture, in expectation. It changes a pixel in three ways, and each has its part of the rule:

- it is seen there: its outline in the picture, and the reach of the pixel filter around it;
- it shades what is seen there from a sun: its outline along the sun's rays, and the penumbra around it;
- it takes part in the indirect light: of the light that a surface gets from around, the share that comes from the
  directions in which it sees the object (the form factor, here of the box around the object) now comes from the
  object, and not from what it hides. Both lie between black and what the brighter of them can be. That the box is
  larger than the object, and that one of the two is not black, makes up for light that is reflected more than once.

Everything is asked for cells of the picture, and a cell's neighbours are taken in with it.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipfarm_render import arena, convex
from clipfarm_render.camera import Camera
from clipfarm_render.cycles import Box
from clipfarm_render.sample import Vector3

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

CELLS = 64
"""Cells along a side of the picture, at most."""
FILTER_REACH = 1.5
"""Pixels. Half the width of Cycles' Blackman-Harris filter is 0.75; the rest is for the outline's corners."""
GLOSS = 0.1
"""What a surface's gloss adds to its reflectance: pi times what the specular part of its BRDF is where it is largest,
for the IOR of 1.5 and the roughness of 0.6 and more of everything here."""
BEHIND = 0.4
"""The brightest that an object can hide from a surface, radiance: the sky's 0.36, or a wall."""
PATCHES = 2
"""Along each edge of the box around the object."""
STRONG_GRAIN, WEAK_GRAIN = 2, 8
"""Cells. Runs of cells end at multiples of it, so that neighbouring rows can share a box: a call of Cycles costs as
much as 500 pixels at 64 samples, and 4,000 at 8."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands still, as far as the rule has to know it; all of it (height, width, ...), float."""

    depth: npt.NDArray[np.float32]
    """Along the camera's axis, m."""
    normal: npt.NDArray[np.float32]
    reflectance: npt.NDArray[np.float32]
    """Diffuse, linear RGB."""
    half_step: npt.NDArray[np.float32]
    """How much linear light, RGB, makes half a step of the 8-bit picture."""


@dataclass(frozen=True, slots=True)
class Solid:
    """An object at one moment."""

    outline: Array
    """(n, 3) points of the world whose hull holds it, m."""
    axes: Array
    """(3, 3) its own axes in the world, as columns."""
    bounds: Array
    """(2, 3) corners of the box around it, in its own axes, from ``centre``, m."""
    centre: Array
    colour: Vector3


@dataclass(frozen=True, slots=True)
class Region:
    """What an object changes."""

    own: Mask
    """(height, width) where pixels may show the object itself."""
    strong: tuple[Box, ...]
    """Where it is seen, or casts a shadow."""
    weak: tuple[Box, ...]
    """Where it changes the indirect light by half a step or more; holds the strong boxes too."""


class Rule:
    """Finds the region of one picture after the other, before the same surroundings."""

    def __init__(self, surroundings: Surroundings, camera: Camera) -> None:
        self._camera = camera
        self._size = camera.resolution
        self._cell = math.ceil(self._size / CELLS)
        count = math.ceil(self._size / self._cell)
        middles = np.minimum(np.arange(count) * self._cell + self._cell // 2, self._size - 1)
        pick = np.ix_(middles, middles)
        columns, rows = np.meshgrid(middles + 0.5, middles + 0.5)
        self._pixels = np.stack([columns, rows], axis=-1)
        self._points = camera.unproject(self._pixels, surroundings.depth[pick].astype(np.float64))
        self._normals = surroundings.normal[pick].astype(np.float64)
        # How much light from around may change, irradiance over pi, until the picture does by half a step.
        slack = surroundings.half_step / (surroundings.reflectance + GLOSS)
        self._slack = _least_in_cells(slack.astype(np.float64), self._cell, count)
        # How much of the world a cell spans, to be on the safe side of a shadow's edge.
        across = np.linalg.norm(np.diff(self._points, axis=1), axis=-1)
        self._span = np.pad(across, ((0, 0), (0, 1)), mode="edge")

    def find(self, solid: Solid) -> Region:
        """Return the region that an object changes."""
        seen = convex.hull(self._camera.project(solid.outline))
        cells_seen = convex.contains(seen, self._pixels, self._cell + FILTER_REACH)
        strong = cells_seen | self._shaded(solid)
        weak = strong | self._lit_otherwise(solid)
        rows, columns = np.mgrid[: self._size, : self._size] + 0.5
        own = convex.contains(seen, np.stack([columns, rows], axis=-1), FILTER_REACH)
        return Region(own, self._boxes(strong, STRONG_GRAIN), self._boxes(_grown(weak), WEAK_GRAIN))

    def _shaded(self, solid: Solid) -> Mask:
        shaded = np.zeros(self._points.shape[:2], np.bool_)
        for sun in arena.SUNS:
            direction = np.array(sun.position) / np.linalg.norm(sun.position)
            right = np.cross((0, 0, 1), direction)
            right /= np.linalg.norm(right)
            plane = np.stack([right, np.cross(direction, right)], axis=1)
            distance = (solid.outline @ direction).max() - self._points @ direction
            penumbra = np.maximum(distance, 0) * math.tan(arena.SUN_ANGLE / 2)
            outline = convex.hull(solid.outline @ plane)
            shaded |= (distance > 0) & convex.contains(outline, self._points @ plane, penumbra + self._span)
        return shaded

    def _lit_otherwise(self, solid: Solid) -> Mask:
        places, normals, areas, light = _patches(solid)
        away = places - self._points[..., None, :]
        distance = np.maximum(np.linalg.norm(away, axis=-1), 1e-3)
        away /= distance[..., None]
        leaving = -(away * normals).sum(axis=-1).clip(max=0)
        arriving = (away * self._normals[..., None, :]).sum(axis=-1).clip(min=0)
        factors = leaving * arriving * areas / (math.pi * np.maximum(distance**2, areas))
        change: Mask = (factors @ light > self._slack).any(axis=-1)
        return change

    def _boxes(self, cells: Mask, grain: int) -> tuple[Box, ...]:
        """Return boxes that hold all cells: one for each run of cells in a row; rows with the same run share it."""
        boxes: list[Box] = []
        above: dict[tuple[int, int], int] = {}
        for row in range(len(cells)):
            top, bottom = row * self._cell, min((row + 1) * self._cell, self._size)
            here = {}
            for left, right in _runs(cells[row], grain):
                ends = left * self._cell, min(right * self._cell, self._size)
                if ends in above:
                    here[ends] = above[ends]
                    boxes[here[ends]] = Box(ends[0], boxes[here[ends]].top, ends[1], bottom)
                else:
                    here[ends] = len(boxes)
                    boxes.append(Box(ends[0], top, ends[1], bottom))
            above = here
        return tuple(boxes)


def _runs(row: Mask, grain: int) -> list[tuple[int, int]]:
    """Return first and last + 1 of each run of cells, moved outwards to multiples of ``grain``."""
    edges = np.flatnonzero(np.diff(np.pad(row.astype(np.int8), 1)))
    runs: list[tuple[int, int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        left, right = start // grain * grain, -(-end // grain) * grain
        if runs and left <= runs[-1][1]:
            runs[-1] = runs[-1][0], right
        else:
            runs.append((left, right))
    return runs


def _patches(solid: Solid) -> tuple[Array, Array, Array, Array]:
    """Return places (n, 3), normals (n, 3), areas (n,) and light (n, 3) of whatever sends other light than before.

    These are the faces of the box around the object, and the shadows that they throw on the floor.
    """
    steps = (np.arange(PATCHES) + 0.5) / PATCHES
    low, high = solid.bounds
    size = high - low
    places, normals, areas = [], [], []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for side, end in ((-1.0, low), (1.0, high)):
            for a in steps:
                for b in steps:
                    place = np.empty(3)
                    place[axis], place[u], place[v] = end[axis], low[u] + a * size[u], low[v] + b * size[v]
                    places.append(solid.centre + solid.axes @ place)
                    normals.append(side * solid.axes[:, axis])
                    areas.append(size[u] * size[v] / PATCHES**2)
    at, facing, area = np.array(places), np.array(normals), np.array(areas)
    sky, floor = np.array(arena.SKY), np.array(arena.TILE_LIGHT)
    irradiance = math.pi * sky + math.pi * floor * ((1 - facing[:, 2:]) / 2)
    shadows = []
    for sun in arena.SUNS:
        direction = np.array(sun.position) / np.linalg.norm(sun.position)
        power = sun.intensity * np.array(sun.colour)
        cosine = (facing @ direction).clip(min=0)
        irradiance = irradiance + cosine[:, None] * power
        lit = cosine > 0
        fallen = at[lit] - direction * (at[lit][:, 2:] / direction[2])
        loss = floor * power * direction[2] / math.pi
        shadows.append((fallen, area[lit] * cosine[lit] / direction[2], np.tile(loss, (len(fallen), 1))))
    light = np.maximum(np.array(solid.colour) * irradiance / math.pi, BEHIND)
    up = np.tile((0.0, 0.0, 1.0), (sum(len(place) for place, _, _ in shadows), 1))
    return (
        np.concatenate([at, *(place for place, _, _ in shadows)]),
        np.concatenate([facing, up]),
        np.concatenate([area, *(shadow for _, shadow, _ in shadows)]),
        np.concatenate([light, *(loss for _, _, loss in shadows)]),
    )


def _least_in_cells(values: Array, cell: int, count: int) -> Array:
    """Return the least of each channel in each cell."""
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, count * cell - height), (0, count * cell - width), (0, 0)), mode="edge")
    least: Array = padded.reshape(count, cell, count, cell, -1).min(axis=(1, 3))
    return least


def _grown(cells: Mask) -> Mask:
    """Take the neighbours of each cell in."""
    padded = np.pad(cells, 1)
    height, width = cells.shape
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    grown: Mask = np.any(shifted, axis=0)
    return grown

"""Which pixels the objects change, found by a rule with a bound.

Outside of the region that :meth:`Rule.find` returns, the objects together change a pixel by less than half a step of
the 8-bit picture, in expectation. An object changes a pixel in three ways, and each has its part of the rule:

- it is seen there: its outline in the picture, and the reach of the pixel filter around it;
- it shades what is seen there from a sun: its outline along the sun's rays, and the penumbra around it;
- it takes part in the indirect light: of the light that a surface gets from around, the share that comes from the
  directions in which it sees the object (the form factor, here of the box around the object) now comes from the
  object, and not from what it hides. Both lie between black and what the brighter of them can be. That the box is
  larger than the object, and that one of the two is not black, makes up for light that is reflected more than once.

Everything is asked for cells of the picture, and a cell's neighbours are taken in with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipfarm_render.picture import convex
from clipfarm_render.picture.boxes import Mask, Part
from clipfarm_render.scene import arena
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.look import Look
from clipfarm_render.scene.sample import Vector3

Array = npt.NDArray[np.float64]

COARSE_CELLS, FINE_CELLS = 64, 128
"""Cells along a side of the picture, at most: for indirect light, and for what the object hides and shades."""
FILTER_REACH = 1.5
"""Pixels. Half the width of Cycles' Blackman-Harris filter is 0.75; the rest is for the outline's corners."""
GLOSS = 0.1
"""What a surface's gloss adds to its reflectance: pi times what the specular part of its BRDF is where it is largest,
for the IOR of 1.5 and the roughness of 0.6 and more of everything here."""
BEHIND = 0.4
"""The brightest that an object can hide from a surface, radiance: the sky's 0.36, or a wall in the usual light."""
PATCHES = 2
"""Along each edge of the box around the object."""


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
    """What some objects change."""

    own: Mask
    """(height, width) where pixels may show an object itself."""
    strong: Part
    """Where it is seen, or casts a shadow."""
    weak: Part
    """Where it changes the indirect light by half a step or more; holds the strong part too."""


class Rule:
    """Finds the region of one picture after the other, before the same surroundings."""

    def __init__(self, surroundings: Surroundings, look: Look) -> None:
        self._look, camera = look, look.camera
        self._camera = camera
        cell = math.ceil(camera.resolution / FINE_CELLS)
        # Whole fine cells make a coarse one.
        self._fine = _Grid(surroundings, camera, cell)
        self._coarse = coarse = _Grid(surroundings, camera, cell * math.ceil(camera.resolution / COARSE_CELLS / cell))
        self._normals = surroundings.normal[coarse.pick].astype(np.float64).reshape(-1, 3)
        # How much light from around may change, irradiance over pi, until the picture does by half a step.
        slack = (surroundings.half_step / (surroundings.reflectance + GLOSS)).astype(np.float64)
        self._slack = _least_in_cells(slack, coarse.cell, coarse.count).reshape(-1, 3)

    def find(self, solids: Sequence[Solid]) -> Region:
        """Return the region that objects change; of none it is empty."""
        fine, size = self._fine, self._camera.resolution
        own, strong = np.zeros((size, size), np.bool_), np.zeros((fine.count, fine.count), np.bool_)
        # From the middle of a cell to the middle of its farthest pixel.
        reach = fine.cell / math.sqrt(2)
        for solid in solids:
            seen = convex.hull(self._camera.project(solid.outline))
            own |= self._own(seen)
            strong |= convex.contains(seen, fine.pixels, reach + FILTER_REACH) | self._shaded(solid)
        weak = _merged(strong, self._coarse.cell // fine.cell) | self._lit_otherwise(solids)
        return Region(own, Part(strong, fine.cell, size), Part(_grown(weak), self._coarse.cell, size))

    def _own(self, seen: Array) -> Mask:
        size = self._camera.resolution
        own = np.zeros((size, size), np.bool_)
        # Twice the margin holds all that lies within it at corners of 60 degrees and more.
        low = np.floor(seen.min(axis=0) - 2 * FILTER_REACH).clip(0, size).astype(int)
        high = np.ceil(seen.max(axis=0) + 2 * FILTER_REACH).clip(0, size).astype(int)
        around = slice(low[1], high[1]), slice(low[0], high[0])
        rows, columns = np.mgrid[around] + 0.5
        own[around] = convex.contains(seen, np.stack([columns, rows], axis=-1), FILTER_REACH)
        return own

    def _shaded(self, solid: Solid) -> Mask:
        points = self._fine.points
        shaded = np.zeros(points.shape[:2], np.bool_)
        for sun in self._look.suns:
            direction = np.array(sun.position) / np.linalg.norm(sun.position)
            right = np.cross((0, 0, 1), direction)
            right /= np.linalg.norm(right)
            plane = np.stack([right, np.cross(direction, right)], axis=1)
            distance = (solid.outline @ direction).max() - points @ direction
            penumbra = np.maximum(distance, 0) * math.tan(arena.SUN_ANGLE / 2)
            outline = convex.hull(solid.outline @ plane)
            shaded |= (distance > 0) & convex.contains(outline, points @ plane, penumbra + self._fine.span)
        return shaded

    def _lit_otherwise(self, solids: Sequence[Solid]) -> Mask:
        change = sum((self._change(solid) for solid in solids), np.zeros_like(self._slack))
        changed: Mask = (change > self._slack).any(axis=-1)
        return changed.reshape(self._coarse.points.shape[:2])

    def _change(self, solid: Solid) -> Array:
        """Return by how much an object changes the light from around, (points, 3) irradiance over pi, at most."""
        places, normals, areas, light = _patches(solid, self._look)
        points = self._coarse.points.reshape(-1, 3)
        # Products of all points with all patches, (points, patches). Not by BLAS: its sums depend on its threads.
        distance = np.maximum(
            sum((point[:, None] - place) ** 2 for point, place in zip(points.T, places.T, strict=True)), 1e-6
        )
        leaving = np.minimum((places * normals).sum(axis=-1) - _products(points, normals), 0)
        arriving = np.maximum(_products(self._normals, places) - (points * self._normals).sum(axis=-1)[:, None], 0)
        factors = -leaving * arriving * (areas / math.pi) / (distance * np.maximum(distance, areas))
        return np.stack([(factors * channel).sum(axis=-1) for channel in light.T], axis=-1)


class _Grid:
    """The picture in cells: the pixel in the middle of each, and the point of the world that is seen there."""

    def __init__(self, surroundings: Surroundings, camera: Camera, cell: int) -> None:
        self.cell = cell
        self.count = math.ceil(camera.resolution / cell)
        middles = np.minimum(np.arange(self.count) * cell + cell // 2, camera.resolution - 1)
        self.pick = np.ix_(middles, middles)
        columns, rows = np.meshgrid(middles + 0.5, middles + 0.5)
        self.pixels = np.stack([columns, rows], axis=-1)
        self.points = camera.unproject(self.pixels, surroundings.depth[self.pick].astype(np.float64))
        # How far of the world a cell reaches from its middle, to be on the safe side of a shadow's edge.
        across = np.linalg.norm(np.diff(self.points, axis=1), axis=-1)
        self.span = np.pad(across, ((0, 0), (0, 1)), mode="edge") / math.sqrt(2)


def _products(vectors: Array, others: Array) -> Array:
    """Return the scalar products of all vectors (n, 3) with all others (m, 3): (n, m)."""
    products: Array = sum(ours[:, None] * theirs for ours, theirs in zip(vectors.T, others.T, strict=True))
    return products


def _patches(solid: Solid, look: Look) -> tuple[Array, Array, Array, Array]:
    """Return places (n, 3), normals (n, 3), areas (n,) and light (n, 3) of whatever sends other light than before.

    These are the faces of the box around the object, and the shadows that they throw on the floor.
    """
    low, high = solid.bounds
    size = high - low
    places, facing, sides = _UNIT_PATCHES
    at = solid.centre + (low + places * size) @ solid.axes.T
    facing = facing @ solid.axes.T
    area = size[sides].prod(axis=-1) / PATCHES**2
    sky, floor = np.array(arena.SKY), np.array(arena.BRIGHTEST[look.floor])
    irradiance = math.pi * sky + math.pi * floor * ((1 - facing[:, 2:]) / 2)
    shadows = []
    for sun in look.suns:
        direction = np.array(sun.position) / np.linalg.norm(sun.position)
        power = sun.intensity * np.array(sun.colour)
        cosine = (facing @ direction).clip(min=0)
        irradiance = irradiance + cosine[:, None] * power
        lit = cosine > 0
        fallen = at[lit] - direction * (at[lit][:, 2:] / direction[2])
        loss = floor * power * direction[2] / math.pi
        shadows.append((fallen, area[lit] * cosine[lit] / direction[2], np.tile(loss, (len(fallen), 1))))
    light = np.maximum(np.array(solid.colour) * irradiance / math.pi, BEHIND * max(1.0, look.strength))
    up = np.tile((0.0, 0.0, 1.0), (sum(len(place) for place, _, _ in shadows), 1))
    return (
        np.concatenate([at, *(place for place, _, _ in shadows)]),
        np.concatenate([facing, up]),
        np.concatenate([area, *(shadow for _, shadow, _ in shadows)]),
        np.concatenate([light, *(loss for _, _, loss in shadows)]),
    )


def _unit_patches() -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Return places (n, 3) on the unit cube, normals (n, 3), and the two axes (n, 2) along each patch."""
    steps = (np.arange(PATCHES) + 0.5) / PATCHES
    places, normals, sides = [], [], []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for end in (0.0, 1.0):
            for a in steps:
                for b in steps:
                    place, normal = np.empty(3), np.zeros(3)
                    place[axis], place[u], place[v] = end, a, b
                    normal[axis] = 2 * end - 1
                    places.append(place)
                    normals.append(normal)
                    sides.append((u, v))
    return np.array(places), np.array(normals), np.array(sides)


_UNIT_PATCHES = _unit_patches()


def _least_in_cells(values: Array, cell: int, count: int) -> Array:
    """Return the least of each channel in each cell."""
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, count * cell - height), (0, count * cell - width), (0, 0)), mode="edge")
    least: Array = padded.reshape(count, cell, count, cell, -1).min(axis=(1, 3))
    return least


def _merged(cells: Mask, factor: int) -> Mask:
    """Return larger cells, ``factor`` along each side, that hold these."""
    count = math.ceil(len(cells) / factor)
    padded = np.pad(cells, (0, count * factor - len(cells)))
    merged: Mask = padded.reshape(count, factor, count, factor).any(axis=(1, 3))
    return merged


def _grown(cells: Mask) -> Mask:
    """Take the neighbours of each cell in."""
    padded = np.pad(cells, 1)
    height, width = cells.shape
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    grown: Mask = np.any(shifted, axis=0)
    return grown

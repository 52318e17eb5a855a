"""By how much two bodies overlap, from what a clip says of them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from clipfarm_contract.experiment import SHAPES
from clipfarm_render.scene.bodies import extremes
from clipfarm_render.scene.shapes import shape

Array = npt.NDArray[np.float64]


def outline(body: Mapping[str, Any]) -> Array:
    """Return points (n, 3) of a body in its own axes, whose convex hull touches others."""
    if body["shape"] in SHAPES:
        outline: Array = extremes(shape(body["shape"]).vertices) * body["size"]
        return outline
    (x0, y0, z0), (x1, y1, z1) = body["bounds"]
    # Of an asset, only its box is known, which others may well reach into.
    return np.array([(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)]) / 2


def overlap(one: Mapping[str, Any], points: Array, other: Mapping[str, Any], others: Array, frame: int) -> float:
    """Return by how much two bodies overlap on a frame, m, at most; below 0 if they do not.

    Args:
        one: a body, as a clip has it.
        points: its outline.
        other: another body.
        others: its outline.
        frame: the frame.
    """
    axes = np.concatenate([_turn(body, frame).T for body in (one, other)])
    return _depth(_placed(one, points, frame), _placed(other, others, frame), axes)


def _turn(body: Mapping[str, Any], frame: int) -> Array:
    w, x, y, z = body["trajectory"]["quaternions"][frame]
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _placed(body: Mapping[str, Any], points: Array, frame: int) -> Array:
    placed: Array = np.einsum("ij,nj->ni", _turn(body, frame), points) + np.array(
        body["trajectory"]["positions"][frame]
    )
    return placed


def _depth(points: Array, others: Array, axes: Array) -> float:
    """Return by how much two convex hulls overlap, m, at most; below 0 if they do not.

    That is by how much they would have to move apart in the best of many directions: all around, the bodies' own axes
    (n, 3), and finer ones around the best.
    """
    middle, reach = others.mean(axis=0) - points.mean(axis=0), 0.0
    for cloud in (points, others):
        reach += float(np.linalg.norm(cloud - cloud.mean(axis=0), axis=1).max())
    if np.linalg.norm(middle) > reach:
        return -math.inf
    directions = np.concatenate([_DIRECTIONS, axes, -axes])
    for step in (0.1, 0.03, 0.0):
        # Not by BLAS: its sums depend on its threads.
        along = [sum(cloud[:, axis, None] * directions[:, axis] for axis in range(3)) for cloud in (points, others)]
        depths = along[0].max(axis=0) - along[1].min(axis=0)
        best = directions[int(depths.argmin())]
        around = best + step * _DIRECTIONS[:60]
        directions = np.concatenate([best[None], around / np.linalg.norm(around, axis=1, keepdims=True)])
    return float(depths.min())


def _sphere(count: int) -> Array:
    steps = np.arange(count)
    heights, angles = 1 - (2 * steps + 1) / count, steps * math.pi * (3 - math.sqrt(5))
    radii = np.sqrt(1 - heights**2)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles), heights], axis=1)


_DIRECTIONS = np.concatenate([_sphere(300), np.eye(3), -np.eye(3)])

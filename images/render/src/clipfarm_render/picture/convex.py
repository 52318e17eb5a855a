"""Convex polygons in the plane."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def hull(points: Array) -> Array:
    """Return the corners (k, 2) of the convex hull of points (n, 2), counter-clockwise (Andrew's monotone chain)."""
    ordered = sorted(set(map(tuple, points.tolist())))
    return np.array(_half(ordered) + _half(ordered[::-1]))


def contains(corners: Array, points: Array, margin: float | Array) -> npt.NDArray[np.bool_]:
    """Tell which points (..., 2) lie in a convex polygon, or at most ``margin`` (one, or one a point) outside.

    Near its corners some that lie a little farther outside count, too: the margin is measured to the lines that the
    edges lie on.
    """
    x, y = np.asarray(points[..., 0]), np.asarray(points[..., 1])
    (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
    # Most points are far from it, and are sorted out by its box.
    near = (x >= left - margin) & (x <= right + margin) & (y >= low - margin) & (y <= high + margin)
    inside: npt.NDArray[np.bool_] = np.asarray(near)  # of one point it is no array
    x, y = x[inside], y[inside]
    edges = np.roll(corners, -1, axis=0) - corners
    outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
    offsets = (outward * corners).sum(axis=1)
    distance = np.full(x.shape, -np.inf)
    # One edge after the other: reducing over a short last axis is what NumPy is slow at.
    for (across, up), offset in zip(outward, offsets, strict=True):
        np.maximum(distance, x * across + y * up - offset, out=distance)
    inside[inside] = distance <= (margin[inside] if isinstance(margin, np.ndarray) else margin)
    return inside


def _half(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
    chain: list[tuple[float, float]] = []
    for point in ordered:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain[:-1]


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Above 0 where the way from a over b to c turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

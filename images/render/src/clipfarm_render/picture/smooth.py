"""Evening out the noise of a change in indirect light.

What an object does to a surface's indirect light changes little from pixel to pixel, once the surface's own pattern is
taken out. So each pixel may borrow from its neighbours on the same plane: with a Gaussian of 3 pixels from some fifty
of them, and the noise is a seventh.
"""

import numpy as np
import numpy.typing as npt

from clipfarm_render.picture.boxes import Mask
from clipfarm_render.picture.region import GLOSS, Surroundings
from clipfarm_render.scene.camera import Camera

Picture = npt.NDArray[np.float32]

REACH, SIGMA = 4, 3.0
"""Pixels: how far a pixel borrows, and the standard deviation of the weights."""
LEAST = 150
"""Pixels of a plane. What belongs to a smaller one counts to the plane that is most like it."""
OFFSET_WEIGHT = 0.1
"""How much a plane's distance from the origin, m, counts beside its normal when planes are compared."""


class Smoother:
    """Smooths pictures of one scene's surfaces."""

    def __init__(self, surroundings: Surroundings, camera: Camera) -> None:
        self._planes = _planes(surroundings, camera)
        taps = np.exp(-(np.arange(-REACH, REACH + 1) ** 2) / (2 * SIGMA**2))
        self._taps = (taps / taps.sum()).astype(np.float32)
        self._pattern = surroundings.reflectance + np.float32(GLOSS)

    def __call__(self, change: Picture, known: Mask) -> Picture:
        """Return a change, (height, width, 3) linear light, evened out where it is ``known``; elsewhere it is 0."""
        smooth = np.zeros_like(change)
        light = change / self._pattern
        for plane in np.unique(self._planes[known]).tolist():
            here = known & (self._planes == plane)
            rows, columns = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
            part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            inside = here[part]
            weighed = np.concatenate([light[part], np.ones((*inside.shape, 1), np.float32)], axis=-1)
            weighed[~inside] = 0
            spread = _along(_along(weighed, self._taps, 0), self._taps, 1)[inside]
            smooth[part][inside] = spread[:, :3] / spread[:, 3:] * self._pattern[part][inside]
        return smooth


def _planes(surroundings: Surroundings, camera: Camera) -> npt.NDArray[np.int64]:
    """Return (height, width) the number of the plane that each pixel shows."""
    size = camera.resolution
    rows, columns = np.mgrid[:size, :size] + 0.5
    points = camera.unproject(np.stack([columns, rows], axis=-1), surroundings.depth.astype(np.float64))
    normals = surroundings.normal.astype(np.float64)
    seen = np.concatenate([normals, (points * normals).sum(axis=-1, keepdims=True)], axis=-1).reshape(-1, 4)
    found, counts = np.unique(seen.round(1), axis=0, return_counts=True)
    large = found[counts >= LEAST]
    planes = large if len(large) else found[[counts.argmax()]]
    weights = np.array([1, 1, 1, OFFSET_WEIGHT])
    away = np.stack([((seen - plane) ** 2 * weights).sum(axis=-1) for plane in planes])
    nearest: npt.NDArray[np.int64] = away.argmin(axis=0).reshape(size, size)
    return nearest


def _along(values: Picture, taps: Picture, axis: int) -> Picture:
    """Convolve (height, width, channels) along rows or columns; what lies outside is 0."""
    moved = np.moveaxis(values, axis, 0)
    spread = moved * taps[REACH]
    for step in range(1, min(REACH, len(moved) - 1) + 1):
        spread[:-step] += moved[step:] * taps[REACH + step]
        spread[step:] += moved[:-step] * taps[REACH - step]
    return np.moveaxis(spread, 0, axis)

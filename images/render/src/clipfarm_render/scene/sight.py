"""What of the arena the camera sees: in the picture, and behind nothing that stands still."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.fixtures import Fixture

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TOUCHES = 0.999
"""Share of the way to a point up to which something hides it: what lies on a ramp is before it."""


def sees(camera: Camera, fixtures: Iterable[Fixture], points: Array) -> Mask:
    """Return which points (n, 3) of the world, m, are in the picture and not behind a fixture."""
    pixels = camera.project(points)
    seen: Mask = ((pixels >= 0) & (pixels <= camera.resolution)).all(axis=1)
    for fixture in fixtures:
        seen &= ~_hides(fixture, np.array(camera.position), points)
    return seen


def _hides(fixture: Fixture, eye: Array, points: Array) -> Mask:
    """Return which points lie behind a fixture, or in it; its mesh is convex."""
    vertices = fixture.seen.vertices
    middle, ways = vertices.mean(axis=0), points - eye
    enters, leaves = np.zeros(len(points)), np.ones(len(points))
    for face in fixture.seen.faces:
        first, second, third = vertices[list(face[:3])]
        outward = np.cross(second - first, third - first)
        outward *= np.sign(outward @ (first - middle))
        along, beyond = ways @ outward, outward @ (first - eye)
        # The part of the way that is on the inner side of the face's plane.
        crosses = np.divide(beyond, along, out=np.full(len(points), np.inf), where=along != 0)
        enters = np.where(along < 0, np.maximum(enters, crosses), enters)
        leaves = np.where(along > 0, np.minimum(leaves, crosses), leaves)
        leaves = np.where((along == 0) & (beyond < 0), -np.inf, leaves)
    hidden: Mask = (enters < leaves) & (enters < TOUCHES)
    return hidden

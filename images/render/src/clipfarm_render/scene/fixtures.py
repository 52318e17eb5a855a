"""What stands still beyond floor and walls: ramps, screens."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipfarm_render.scene.sample import Vector3
from clipfarm_render.scene.shapes import Shape

Array = npt.NDArray[np.float64]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Slab:
    """A box that bodies touch."""

    half: Vector3
    """Half its sides, m."""
    position: Vector3
    """Of its middle, m."""
    quaternion: Quaternion = (1.0, 0.0, 0.0, 0.0)
    friction: float = 1.0
    restitution: float = 0.0


@dataclass(frozen=True, slots=True)
class Fixture:
    """A thing that stands still."""

    name: str
    seen: Shape
    """Its mesh, whose axes are those of the world."""
    colour: Vector3
    """Linear RGB reflectance, 0 to 1."""
    felt: tuple[Slab, ...] = ()
    """What bodies touch of it; none: they pass through."""

    @property
    def look(self) -> str:
        """A hash of all that is seen of it."""
        parts = (self.seen.vertices.tobytes(), str(self.seen.faces).encode(), str(self.colour).encode())
        return hashlib.sha256(b"".join(parts)).hexdigest()


def prism(name: str, outline: Array, near: float, far: float) -> Shape:
    """Return a shape whose section in x and z is a convex polygon.

    Args:
        name: of the shape.
        outline: (n, 2) corners in x and z, m, counter-clockwise as seen from the camera's side (x right, z up).
        near: where it begins, y, m.
        far: where it ends, y, m; above ``near``.
    """
    count = len(outline)
    vertices = np.array([(x, y, z) for y in (near, far) for x, z in outline])
    faces: list[tuple[int, ...]] = [tuple(range(count)), tuple(range(2 * count - 1, count - 1, -1))]
    normals = [(0.0, -1.0, 0.0)] * count + [(0.0, 1.0, 0.0)] * count
    for start in range(count):
        end = (start + 1) % count
        (x0, z0), (x1, z1) = outline[start], outline[end]
        outward = np.array((z1 - z0, 0.0, x0 - x1)) / np.hypot(x1 - x0, z1 - z0)
        faces.append((start, start + count, end + count, end))
        normals += [tuple(outward.tolist())] * 4
    return Shape(name, vertices, tuple(faces), (1.0, 1.0, 1.0), np.array(normals))

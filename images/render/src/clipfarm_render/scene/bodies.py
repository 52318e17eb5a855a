"""The objects that move: what simulator, renderer and checks have to know of each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pyquaternion import Quaternion as PyQuaternion

from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiments.scene import Assets
from clipfarm_contract.layers import THING
from clipfarm_render.scene.kubric_compat import kb
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.sample import RESTITUTION, Sample, Vector3
from clipfarm_render.scene.shapes import RING_RADIUS, SEGMENTS, Shape, shape

Array = npt.NDArray[np.float64]
Quaternion = tuple[float, float, float, float]
"""w, x, y, z"""


def extremes(points: Array) -> Array:
    """Return those of the points (n, 3) that lie farthest in one of some 600 directions, the axes among them."""
    steps = np.arange(600)
    heights, angles = 1 - (2 * steps + 1) / 600, steps * math.pi * (3 - math.sqrt(5))  # a Fibonacci sphere
    radii = np.sqrt(1 - heights**2)
    around = np.stack([radii * np.cos(angles), radii * np.sin(angles), heights])
    directions = np.concatenate([around, np.eye(3), -np.eye(3)], axis=1)
    farthest: Array = points[np.unique((points @ directions).argmax(axis=0))]
    return farthest


def outer(shape: Shape) -> Array:
    """Return points (n, 3) with the convex hull of a shape, up to 0.2 % of a torus' width."""
    if shape.name != "torus":
        return shape.vertices
    rings: Array = shape.vertices.reshape(-1, SEGMENTS, 3)[1::2, ::2].reshape(-1, 3)
    half: Array = rings[np.linalg.norm(rings[:, :2], axis=1) > RING_RADIUS - 1e-9]
    return half


class ShapeAsset(kb.PhysicalObject):  # type: ignore[misc]  # Kubric is published without types
    """An object of our own making, in Kubric's terms. Its scale is its size, the same on all axes."""

    def __init__(self, shape: Shape, felt: Array, **traits: Any) -> None:
        self.shape, self.felt = shape, felt
        bounds = (tuple(shape.vertices.min(axis=0)), tuple(shape.vertices.max(axis=0)))
        super().__init__(bounds=bounds, **traits)


@dataclass(frozen=True, slots=True)
class Spec:
    """What an object is, and where it starts."""

    name: str
    """In Blender's scene; unlike that of any other object of the clip."""
    shape: str
    """A name of ``SHAPES``, or the id of an asset."""
    size: float
    """Width of the object, m."""
    mass: float
    """kg"""
    friction: float
    """Coefficient of friction on the floor, no unit."""
    colour: Vector3
    """Linear RGB reflectance, 0 to 1."""
    position: Vector3
    """Where its lowest point would be at the start if it lay below its centre, m: its place on the floor."""
    quaternion: Quaternion = (1.0, 0.0, 0.0, 0.0)
    """Rotation at the start as w, x, y, z."""
    up: Vector3 = (0.0, 0.0, 1.0)
    """Unit vector out of the surface that it lies on."""
    restitution: float = RESTITUTION
    """Share of the speed across a surface of restitution 1 that is left after a hit."""
    number: int = THING
    """In the segmentation."""
    every_vertex: bool = False
    """Whether Bullet gets all vertices of a torus, which makes it ten times as slow, and moves it a hair otherwise."""


@dataclass(frozen=True, slots=True)
class Body:
    """One object of a clip."""

    asset: kb.PhysicalObject
    outline: Array
    """(n, 3) points whose convex hull holds the object, or all but 0.5 % of its width, from its centre of mass, in its
    own axes, m."""
    inertia: Array
    """(3,) moments about its own axes, kg m^2."""
    origin: Array
    """(3,) the origin of its mesh, from its centre of mass, in its own axes, m."""
    rolls: bool
    colour: Vector3
    number: int = THING
    """In the segmentation."""
    described: Mapping[str, Any] = field(default_factory=dict)
    """What ``ground_truth.json`` says of it beyond its shape, size and colour."""

    @property
    def bounds(self) -> Array:
        """(2, 3) lower and upper corner of its box, from its centre of mass, in its own axes, m."""
        return np.stack([self.outline.min(axis=0), self.outline.max(axis=0)])


def make(sample: Sample, assets: Assets | None, files: AssetFiles) -> Body:
    """Return the object of a clip of one object, at its place on the floor.

    Raises:
        ClipError: the manifest or the asset cannot be read.
    """
    spec = Spec(
        "thing",
        sample.shape,
        sample.size,
        sample.mass,
        # Bullet multiplies the coefficients of two bodies. Where the walls have some, the floor's is the friction.
        1.0 if sample.wall_friction else sample.friction,
        sample.colour,
        (*sample.position, 0.0),
        (math.cos(sample.yaw / 2), 0, 0, math.sin(sample.yaw / 2)),
        restitution=sample.restitution,
        every_vertex=True,
    )
    return place(spec, assets, files)


def place(spec: Spec, assets: Assets | None, files: AssetFiles) -> Body:
    """Return an object at the place where it starts.

    Raises:
        ClipError: the manifest or the asset cannot be read.
    """
    traits: dict[str, Any] = {
        "name": spec.name,
        "quaternion": spec.quaternion,
        "mass": spec.mass,
        "friction": spec.friction,
        "restitution": spec.restitution,
    }
    if spec.shape in SHAPES:
        made = shape(spec.shape)
        vertices = made.vertices * spec.size
        traits["position"] = _centre(spec, vertices)
        felt = made.vertices if spec.every_vertex else outer(made)
        asset = ShapeAsset(made, felt, scale=(spec.size,) * 3, **traits)
        inertia = np.array(made.inertia) * spec.mass * spec.size**2
        return Body(
            asset, extremes(made.vertices) * spec.size, inertia, np.zeros(3), made.rolls, spec.colour, spec.number
        )
    assert assets is not None, "asked for before anything starts"
    return _from_manifest(spec, assets, files, traits)


def _from_manifest(spec: Spec, assets: Assets, files: AssetFiles, traits: dict[str, Any]) -> Body:
    """Return an asset, scaled so that its longest side is ``spec.size``."""
    found = files.open(assets, spec.shape)
    scale = spec.size / float(np.ptp(found.bounds, axis=0).max())
    corners = np.array([(x, y, z) for x in found.bounds[:, 0] for y in found.bounds[:, 1] for z in found.bounds[:, 2]])
    outline = (corners - found.centre_of_mass) * scale
    traits["position"] = _centre(spec, outline)
    asset = found.create(scale=(scale,) * 3, **traits)
    inertia = np.array(found.inertia) * spec.mass * scale**2
    described = {"asset": found.described}
    origin = -found.centre_of_mass * scale
    return Body(
        asset, outline, inertia, origin, rolls=False, colour=spec.colour, number=spec.number, described=described
    )


def _centre(spec: Spec, points: Array) -> Vector3:
    """Return where the centre of mass lies, m, if the lowest of the points (n, 3) touches the surface."""
    (x, y, z), (a, b, c) = spec.position, spec.up
    height = -lowest(points, spec.quaternion, spec.up)
    return x + height * a, y + height * b, z + height * c


def lowest(points: Array, quaternion: Quaternion, up: Vector3 = (0.0, 0.0, 1.0)) -> float:
    """Return how high the lowest of the points (n, 3) lies above the centre of mass; most often below 0."""
    w, x, y, z = quaternion
    if not x and not y and up == (0.0, 0.0, 1.0):  # upright: no digit of a start on the floor depends on the turn
        return float(points[:, 2].min())
    own_up = PyQuaternion(w, x, y, z).inverse.rotate(np.array(up))
    return float((points @ own_up).min())

"""The object that is pushed: what simulator, renderer and checks have to know of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiments.scene import Assets
from clipfarm_render.scene.kubric_compat import kb
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.sample import Sample
from clipfarm_render.scene.shapes import Shape, shape

RESTITUTION = 0.5
"""Of object against wall: the share of the speed across the wall that is left after a hit."""

Array = npt.NDArray[np.float64]


def extremes(points: Array) -> Array:
    """Return those of the points (n, 3) that lie farthest in one of some 600 directions, the axes among them."""
    steps = np.arange(600)
    heights, angles = 1 - (2 * steps + 1) / 600, steps * math.pi * (3 - math.sqrt(5))  # a Fibonacci sphere
    radii = np.sqrt(1 - heights**2)
    around = np.stack([radii * np.cos(angles), radii * np.sin(angles), heights])
    directions = np.concatenate([around, np.eye(3), -np.eye(3)], axis=1)
    farthest: Array = points[np.unique((points @ directions).argmax(axis=0))]
    return farthest


class ShapeAsset(kb.PhysicalObject):  # type: ignore[misc]  # Kubric is published without types
    """An object of our own making, in Kubric's terms. Its scale is its size, the same on all axes."""

    def __init__(self, shape: Shape, **traits: Any) -> None:
        self.shape = shape
        bounds = (tuple(shape.vertices.min(axis=0)), tuple(shape.vertices.max(axis=0)))
        super().__init__(bounds=bounds, **traits)


@dataclass(frozen=True, slots=True)
class Body:
    """The object of one clip."""

    asset: kb.PhysicalObject
    outline: Array
    """(n, 3) points whose convex hull holds the object, or all but 0.5 % of its width, from its centre of mass, in its
    own axes, m."""
    inertia: Array
    """(3,) moments about its own axes, kg m^2."""
    origin: Array
    """(3,) the origin of its mesh, from its centre of mass, in its own axes, m."""
    rolls: bool
    described: Mapping[str, Any] = field(default_factory=dict)
    """What ``ground_truth.json`` says of it beyond its shape, size and colour."""

    @property
    def bounds(self) -> Array:
        """(2, 3) lower and upper corner of its box, from its centre of mass, in its own axes, m."""
        return np.stack([self.outline.min(axis=0), self.outline.max(axis=0)])


def make(sample: Sample, assets: Assets | None, files: AssetFiles) -> Body:
    """Return the object of a clip, at its place on the floor.

    Raises:
        ClipError: the manifest or the asset cannot be read.
    """
    place: dict[str, Any] = {
        "name": "thing",
        "quaternion": (math.cos(sample.yaw / 2), 0, 0, math.sin(sample.yaw / 2)),
        "mass": sample.mass,
        "friction": sample.friction,
        "restitution": RESTITUTION,
    }
    if sample.shape in SHAPES:
        made = shape(sample.shape)
        place["position"] = (*sample.position, made.bottom * sample.size)
        asset = ShapeAsset(made, scale=(sample.size,) * 3, **place)
        inertia = np.array(made.inertia) * sample.mass * sample.size**2
        return Body(asset, extremes(made.vertices) * sample.size, inertia, np.zeros(3), made.rolls)
    assert assets is not None, "asked for before anything starts"
    return _from_manifest(sample, assets, files, place)


def _from_manifest(sample: Sample, assets: Assets, files: AssetFiles, place: dict[str, Any]) -> Body:
    """Return an asset, scaled so that its longest side is ``sample.size``."""
    found = files.open(assets, sample.shape)
    scale = sample.size / float(np.ptp(found.bounds, axis=0).max())
    corners = np.array([(x, y, z) for x in found.bounds[:, 0] for y in found.bounds[:, 1] for z in found.bounds[:, 2]])
    outline = (corners - found.centre_of_mass) * scale
    place["position"] = (*sample.position, -outline[:, 2].min())
    asset = found.create(scale=(scale,) * 3, **place)
    inertia = np.array(found.inertia) * sample.mass * scale**2
    described = {"asset": found.described}
    return Body(asset, outline, inertia, -found.centre_of_mass * scale, rolls=False, described=described)

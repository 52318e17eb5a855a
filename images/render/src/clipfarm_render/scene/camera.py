"""The camera as matrices: where a point of the arena lies in the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipfarm_render.scene import arena

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera with square pixels, looking from ``position`` at ``target``, upright."""

    resolution: int
    """Width and height of the picture, pixels."""
    position: tuple[float, float, float] = arena.CAMERA_POSITION
    target: tuple[float, float, float] = arena.CAMERA_TARGET
    focal_length_mm: float = arena.FOCAL_LENGTH_MM
    sensor_width_mm: float = arena.SENSOR_WIDTH_MM

    @property
    def intrinsics(self) -> Array:
        """K (3, 3), pixels: x to the right, y down, z forward; (0, 0) is the upper left corner of the picture."""
        focal = self.focal_length_mm / self.sensor_width_mm * self.resolution
        centre = self.resolution / 2
        return np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])

    @property
    def pose(self) -> Array:
        """(4, 4) from camera to world, m: the camera's axes are x to the right, y up, and it looks along -z."""
        position, target = np.array(self.position), np.array(self.target)
        backward = (position - target) / np.linalg.norm(position - target)
        right = np.cross((0, 0, 1), backward)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(backward, right), backward], axis=1)
        pose[:3, 3] = position
        return pose

    def project(self, points: Array) -> Array:
        """Project points (n, 3) of the world, m, to pixels (n, 2); all have to lie before the camera."""
        pose = self.pose
        seen = (points - pose[:3, 3]) @ pose[:3, :3] * (1, -1, -1)
        homogeneous = seen @ self.intrinsics.T
        projected: Array = homogeneous[:, :2] / homogeneous[:, 2:]
        return projected

    def unproject(self, pixels: Array, depth: Array) -> Array:
        """Return the points (..., 3) of the world that are seen at pixels (..., 2), ``depth`` m along the axis."""
        intrinsics, pose = self.intrinsics, self.pose
        across = (pixels - intrinsics[:2, 2]) / intrinsics[0, 0] * depth[..., None]
        seen = np.stack([across[..., 0], -across[..., 1], -depth], axis=-1)
        points: Array = seen @ pose[:3, :3].T + pose[:3, 3]
        return points

    @classmethod
    def parse(cls, document: Mapping[str, Any], resolution: int) -> "Camera":
        """Return the camera of a ``ground_truth.json``, as :meth:`to_json` has it."""
        return cls(resolution, _three(document["position"]), _three(document["lookAt"]))

    def to_json(self) -> dict[str, Any]:
        """Return what ``ground_truth.json`` holds of it."""
        return {
            "position": list(self.position),
            "lookAt": list(self.target),
            "focalLengthMm": self.focal_length_mm,
            "sensorWidthMm": self.sensor_width_mm,
            "intrinsics": self.intrinsics.tolist(),
            "pose": self.pose.tolist(),
        }


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return float(x), float(y), float(z)

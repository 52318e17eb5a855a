"""The look of a clip: how what stands still is seen, from the values that the clip has drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm_contract.experiments import looks
from clipfarm_contract.experiments.laws import Value
from clipfarm_render.scene.camera import Camera


@dataclass(frozen=True, slots=True)
class Look:
    """What a clip is seen by."""

    camera: Camera

    @classmethod
    def usual(cls, resolution: int) -> "Look":
        """Return the look of a clip that draws nothing of it, in a picture of this width and height, pixels."""
        return cls(Camera(resolution))

    @classmethod
    def of(cls, values: Mapping[str, Value], resolution: int) -> "Look":
        """Return the look of a clip by its factors; what its experiment does not declare is as usual."""
        azimuth, elevation, distance = (
            float(values.get(name, usual))
            for name, usual in (
                ("cameraAzimuth", looks.AZIMUTH),
                ("cameraElevation", looks.ELEVATION),
                ("cameraDistance", looks.DISTANCE),
            )
        )
        return cls(Camera(resolution, looks.position(azimuth, elevation, distance)))

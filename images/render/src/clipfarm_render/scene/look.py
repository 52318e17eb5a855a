"""The look of a clip: how what stands still is seen, from the values that the clip has drawn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clipfarm_contract.experiments import looks
from clipfarm_contract.experiments.laws import Value
from clipfarm_contract.experiments.views import View
from clipfarm_render.scene import arena
from clipfarm_render.scene.arena import Sun
from clipfarm_render.scene.camera import Camera


@dataclass(frozen=True, slots=True)
class Look:
    """What a clip is seen by."""

    camera: Camera
    suns: tuple[Sun, ...] = arena.SUNS
    floor: str = looks.FLOORS[0]
    """One of ``looks.FLOORS``."""

    @classmethod
    def usual(cls, resolution: int) -> "Look":
        """Return the look of a clip that draws nothing of it, in a picture of this width and height, pixels."""
        return cls(Camera(resolution))

    @classmethod
    def of(cls, values: Mapping[str, Value], resolution: int) -> "Look":
        """Return the look of a clip by its factors; what its experiment does not declare is as usual."""

        def number(name: str, usual: float) -> float:
            return float(values.get(name, usual))

        place = looks.position(
            number("cameraAzimuth", looks.AZIMUTH),
            number("cameraElevation", looks.ELEVATION),
            number("cameraDistance", looks.DISTANCE),
        )
        suns = _suns(number("lightAzimuth", 0), number("lightIntensity", 1))
        return cls(Camera(resolution, place), suns, str(values.get("floor", looks.FLOORS[0])))

    @property
    def strength(self) -> float:
        """How strong the suns are, in parts of their usual strength."""
        return self.suns[0].intensity / arena.SUNS[0].intensity


def from_view(look: Look, view: View) -> Look:
    """Return the same look from the camera of a further view."""
    place = looks.position(view.azimuth, view.elevation, view.distance)
    return replace(look, camera=Camera(look.camera.resolution, place))


def _suns(azimuth: float, strength: float) -> tuple[Sun, ...]:
    """Return the suns, turned counter-clockwise by an angle, degrees, and so many times as strong."""
    if (azimuth, strength) == (0, 1):
        return arena.SUNS
    cosine, sine = math.cos(math.radians(azimuth)), math.sin(math.radians(azimuth))
    return tuple(
        replace(
            sun,
            intensity=sun.intensity * strength,
            position=(
                sun.position[0] * cosine - sun.position[1] * sine,
                sun.position[0] * sine + sun.position[1] * cosine,
                sun.position[2],
            ),
        )
        for sun in arena.SUNS
    )

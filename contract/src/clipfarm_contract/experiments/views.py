"""Further views of a clip: the same frames once more, from another camera."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clipfarm_contract.experiment import LAYERS
from clipfarm_contract.experiments import looks
from clipfarm_contract.fields import ContractError, Fields, parse_text, show
from clipfarm_contract.text import any_of

MOST_VIEWS = 4
"""Of a clip, beside its own."""
NAME = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""Of a view, which is the name of a folder."""
RGB = ("rgb",)


@dataclass(frozen=True, slots=True)
class View:
    """A further camera. It stands still from clip to clip."""

    name: str
    azimuth: float = looks.AZIMUTH
    """Degrees, as ``cameraAzimuth``."""
    elevation: float = looks.ELEVATION
    """Degrees, as ``cameraElevation``."""
    distance: float = looks.DISTANCE
    """m, as ``cameraDistance``."""
    layers: tuple[str, ...] = RGB
    """Of ``LAYERS``, with ``rgb`` among them."""

    @classmethod
    def parse(cls, value: object, where: str) -> "View":
        """Read ``{"name": "side", "camera": {"azimuth": 90}}``.

        Raises:
            ContractError: it is none, or the camera does not see the whole arena.
        """
        fields = Fields(value, where)
        name = fields.take("name", str)
        if not re.fullmatch(NAME, name):
            raise ContractError(f"{where}.name: found {show(name)}, expected letters a-z, digits and dashes")
        layers = fields.take_list("layers", parse_text) if fields.has("layers") else RGB
        for layer in layers:
            if layer not in LAYERS:
                raise ContractError(f"{where}.layers: found {show(layer)}, expected {any_of(LAYERS)}")
        if "rgb" not in layers:
            raise ContractError(f"{where}.layers: found no rgb, expected it among them")
        azimuth, elevation, distance = (
            fields.take_object("camera", _camera) if fields.has("camera") else _camera({}, f"{where}.camera")
        )
        fields.done()
        if not looks.sees_all(azimuth, elevation, distance):
            raise ContractError(
                f"{where}.camera.distance: found {distance:g}, expected {looks.SURE:g} or more, so that the whole arena"
                " is in view"
            )
        return cls(name, azimuth, elevation, distance, layers)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        camera = {"azimuth": self.azimuth, "elevation": self.elevation, "distance": self.distance}
        return {"name": self.name, "camera": camera, "layers": list(self.layers)}


def problem(views: Sequence[View]) -> str | None:
    """Return what is wrong with views together, as ``views[1].name: found ...``; None if nothing is."""
    names = [view.name for view in views]
    for i, name in enumerate(names):
        if name in names[:i]:
            return f"views[{i}].name: found {show(name)} twice, expected each once"
    if len(views) > MOST_VIEWS:
        return f"views: found {len(views)}, expected {MOST_VIEWS} or fewer"
    return None


def _camera(value: object, where: str) -> tuple[float, float, float]:
    fields = Fields(value, where)
    found = []
    for factor in looks.camera():
        name = factor.name.removeprefix("camera").lower()
        usual, _ = factor.default.extremes
        number = fields.take(name, float, usual)
        assert factor.least is not None
        assert factor.most is not None
        if not factor.least <= number <= factor.most:
            raise ContractError(f"{where}.{name}: found {number:g}, expected {factor.bounds}")
        found.append(number)
    fields.done()
    azimuth, elevation, distance = found
    return azimuth, elevation, distance

"""Further views of each clip, as a run file gives them.

What they mean stands in :mod:`clipfarm_contract.experiments.views`.
"""

from typing import Annotated

from pydantic import Field

from clipfarm.cel import FieldRule
from clipfarm.model import Model
from clipfarm_contract.experiment import Layer
from clipfarm_contract.experiments import looks
from clipfarm_contract.experiments.views import MOST_VIEWS, NAME

_AZIMUTH, _ELEVATION, _DISTANCE = looks.camera()
SHOWS_COLOURS = FieldRule(
    "rgb among them: the encoder and the checks look at it", holds=lambda layers: "rgb" in layers, cel="'rgb' in self"
)
Layers = Annotated[tuple[Layer, ...], Field(min_length=1, max_length=8, strict=False), SHOWS_COLOURS]


class ViewCamera(Model):
    """Place of a camera, which looks at the middle of the floor."""

    azimuth: float = Field(default=looks.AZIMUTH, ge=_AZIMUTH.least, le=_AZIMUTH.most)
    """Angle about the vertical axis, counter-clockwise as seen from above, degrees."""
    elevation: float = Field(default=looks.ELEVATION, ge=_ELEVATION.least, le=_ELEVATION.most)
    """Angle above the floor, degrees."""
    distance: float = Field(default=looks.DISTANCE, ge=_DISTANCE.least, le=_DISTANCE.most)
    """Distance from the middle of the floor, m."""


class View(Model):
    """The frames of each clip once more, from another camera that is the same in all clips."""

    name: str = Field(min_length=1, max_length=63, pattern=NAME)
    """Name of the view, and of its folder in each clip."""
    camera: ViewCamera = ViewCamera()
    """Camera of the view."""
    layers: Layers = ("rgb",)
    """Layers to write for each frame of the view; rgb must be among them."""


Views = Annotated[tuple[View, ...], Field(min_length=1, max_length=MOST_VIEWS, strict=False)]

"""How features are made and of what: the content of their sidecar."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from clipfarm_contract.extraction import DEFAULT, Extraction
from clipfarm_contract.features import Wanted

NORM = "final"
"""The model's own last norm is applied to each layer that is kept, as the publisher of V-JEPA 2 does for its probes."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How features are made: all of a sidecar that does not depend on the clip."""

    model: str
    weights: Mapping[str, Any]
    dtype: str
    """``float16`` or ``float32``, of the saved arrays."""
    preprocessing: Mapping[str, Any]
    compute: str
    """Precision of the computation."""
    name: str = ""
    """Of the set; empty: the model's."""
    extraction: Extraction = DEFAULT
    step: int = 2
    """Frames that the model takes a time step of."""
    across_time: bool = True
    """False for a model that sees each frame alone."""

    @property
    def set_name(self) -> str:
        """Name of the set."""
        return self.name or self.model

    @property
    def wanted(self) -> Wanted:
        """What features have to agree in to be these."""
        return Wanted(
            self.model,
            self.dtype,
            self.preprocessing["crop"],
            sha256=self.weights["sha256"],
            key=self.weights["key"],
            name=self.name,
            extraction=self.extraction,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        made = self.extraction
        return {
            "model": self.model,
            "weights": dict(self.weights),
            "dtype": self.dtype,
            "preprocessing": dict(self.preprocessing),
            "compute": self.compute,
            "clipfarm": version("clipfarm-encode"),
            "context": made.context,
            "stride": made.stride_on(self.step),
            "window": made.window,
            "layers": list(made.layers) or None,
            "norm": NORM,
            "pool": made.pool,
            "step": self.step,
        }


@dataclass(frozen=True, slots=True)
class Encoded:
    """What features are made of: the part of a sidecar that depends on the clip."""

    clip: str
    """Name of its folder."""
    frames: int
    sha256: str
    """Of the frames' files (:func:`clipfarm_contract.features.frames_sha256`)."""
    rows: int
    """Tokens of a time step in height, before they are pooled."""
    columns: int
    """The same in width."""

    def to_json(self, recipe: Recipe) -> dict[str, Any]:
        """Return the JSON form for features of a recipe."""
        lasts = recipe.extraction.last_frames(self.frames, recipe.step, across_time=recipe.across_time)
        pooled = recipe.extraction.pool == "space"
        return {
            "input": {"clip": self.clip, "sha256": self.sha256},
            "frames": self.frames,
            "grid": [len(lasts), *((1, 1) if pooled else (self.rows, self.columns))],
            "frame_of_token": lasts,
        }

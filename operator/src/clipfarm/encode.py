"""The part of a run about its encoders: models, weights, sets of features."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from clipfarm.cel import Rule
from clipfarm.feature_sets import (
    LAYERS_CEL,
    NAMES_CEL,
    ONE_NAME,
    PATCHES_CEL,
    STRIDES_CEL,
    FeatureSet,
    resolved,
    same_name,
    unfit,
)
from clipfarm.model import Model, PositiveBytes, PositiveCpus
from clipfarm.pod_options import PodOptions
from clipfarm.weights import Weights
from clipfarm_contract.bounds import MOST_BATCH, MOST_CROP
from clipfarm_contract.feature_sets import MOST_SETS, default_name
from clipfarm_contract.feature_sets import FeatureSet as ContractSet
from clipfarm_contract.models import MOST_MODEL_NAME, VJEPA2_PATCH, VJEPA2_STEP, facts
from clipfarm_contract.models import NAME as MODEL_NAME

if TYPE_CHECKING:
    from clipfarm.run import RunSpec

_PATCHES = f"expected a multiple of {VJEPA2_PATCH}, the model's patch size"
_NEEDS_WEIGHTS = "missing, expected {source: FILE or FOLDER or random}, or encode.enabled: false"


def _unfit(field: str) -> Callable[["Encode"], str | None]:
    return lambda encode: unfit(encode.features, encode.model, encode.crop_size, field)


def _cut_patches(encode: "Encode") -> str | None:
    known = facts(encode.model)
    if known is None or encode.crop_size % known.patch == 0:
        return None
    return f"cropSize: found {encode.crop_size}, {_PATCHES}"


class Encode(Model):
    """How clips become features."""

    enabled: bool = True
    """Whether clips are encoded."""
    model: Annotated[str, Field(pattern=MODEL_NAME, max_length=MOST_MODEL_NAME)] = "vjepa2_vitl16"
    """Model: V-JEPA 2, as ``vjepa2_vitl16``; V-JEPA 2.1, as ``vjepa2_1_vitl16``; an image encoder of timm, as
    ``timm:vit_small_patch14_dinov2``; or ``vjepa2_tiny16``, which has no published weights and is for trials.
    docs/encoder.md lists them."""
    weights: Weights | None = None
    """Source of the model's weights; required if clips are encoded."""
    batch_size: int = Field(default=4, ge=1, le=MOST_BATCH)
    """Clips per batch; halved if a GPU's memory is too small; on a CPU at most one per thread."""
    replicas: int = Field(default=1, ge=1, le=1000)
    """Number of encoders that share the work. On one machine they share its CPUs and divide its GPUs."""
    crop_size: int = Field(default=256, ge=14, le=MOST_CROP)
    """Width and height of the model's input, pixels; a multiple of its patch size, which is 16 for V-JEPA 2."""
    dtype: Literal["fp16", "fp32"] = "fp16"
    """Type of the saved features."""
    features: tuple[FeatureSet, ...] = Field(default=(), max_length=MOST_SETS, strict=False)
    """Sets of features; empty: one of the whole clip, with the model's name. Sets may be added to a run that is there,
    also when it has ended."""
    memory: PositiveBytes = 8 * 2**30
    """Memory of an encoder's pod, in a cluster."""
    cpu: PositiveCpus | None = None
    """CPUs of an encoder's pod, in a cluster: request and limit. Default: 500m are requested, without a limit."""
    pod: PodOptions = PodOptions()
    """Placement and other options of the encoders' pods, in a cluster."""

    rules = (
        Rule(
            lambda encode: f"weights: {_NEEDS_WEIGHTS}" if encode.enabled and encode.weights is None else None,
            cel="!self.enabled || has(self.weights)",
            message=_NEEDS_WEIGHTS,
            field=".weights",
        ),
        Rule(
            _cut_patches,
            cel=f"self.model.contains(':') || self.cropSize % {VJEPA2_PATCH} == 0",
            message=_PATCHES,
            field=".cropSize",
        ),
        Rule(lambda encode: same_name(encode.features), NAMES_CEL, ONE_NAME, ".features"),
        Rule(_unfit("cropSize"), PATCHES_CEL, _PATCHES, ".features"),
        Rule(_unfit("stride"), STRIDES_CEL, f"expected a stride that is a multiple of {VJEPA2_STEP}", ".features"),
        Rule(_unfit("layers"), LAYERS_CEL, "expected layers that the model has", ".features"),
    )

    @property
    def sets(self) -> tuple[ContractSet, ...]:
        """The sets of features as the encoder gets them; ``encode`` is enabled and has weights."""
        assert self.weights is not None, "an enabled encoder has weights"
        asked = self.features or (FeatureSet(name=default_name(self.model)),)
        return tuple(resolved(each, self.model, self.weights, self.crop_size, self.dtype) for each in asked)

    def uncut(self, frames: int) -> str | None:
        """Return what is wrong with a number of frames, for the first set whose model cannot take so many."""
        problems = (each.uncut(frames) for each in (self.sets if self.enabled else ()))
        return next((problem for problem in problems if problem is not None), None)

    def overlong(self, frames: int) -> str | None:
        """Return what of a set is too long for clips of so many frames, beginning with its field."""
        for i, each in enumerate(self.sets if self.enabled else ()):
            if problem := each.overlong(frames):
                return f"features[{i}].{problem}"
        return None

    def options(self) -> list[str]:
        """Return the encoder's options about what is computed."""
        assert self.weights is not None, "an enabled encoder has weights"
        made = ["--model", self.model, *self.weights.options(), "--batch-size", str(self.batch_size)]
        made += ["--crop-size", str(self.crop_size), "--dtype", self.dtype]
        listed = json.dumps([each.to_json() for each in self.sets])
        return made + (["--features", listed] if self.features else [])


_MODEL = "(has(f.model) ? f.model : self.encode.model)"


def _whole(frames: str) -> str:
    """Return in CEL, about ``spec``, that the frames fit the V-JEPA 2 of each set that needs whole steps of them."""
    step = f"({frames} < {VJEPA2_STEP} ? f.context == 'frame' : f.context != 'clip')"
    of_frames = f"self.encode.features.all(f, {step} || {_MODEL}.contains(':'))"
    alone = "self.encode.model.contains(':')"
    sets = f"(self.encode.features.size() == 0 ? {alone} : {of_frames})"
    return f"!self.encode.enabled || {frames} % {VJEPA2_STEP} == 0 || {sets}"


def _uncut(field: str, frames: int | None, encode: Encode) -> str | None:
    problem = None if frames is None else encode.uncut(frames)
    return None if problem is None else f"{field}: {problem}"


def _overlong(spec: "RunSpec") -> str | None:
    if spec.experiment is None and spec.source is None:
        return None
    problem = spec.encode.overlong(spec.frames)
    return None if problem is None else f"encode.{problem}"


_FRAMES = "(has(self.experiment) ? self.experiment.frames : has(self.source) ? self.source.videos.frames : f.stride)"
_FITS = f"expected a multiple of {VJEPA2_STEP}, the frames that the model takes at a time"
RULES = (
    Rule(
        lambda spec: _uncut("experiment.frames", spec.experiment and spec.experiment.frames, spec.encode),
        cel=f"!has(self.experiment) || {_whole('self.experiment.frames')}",
        message=_FITS,
        field=".experiment.frames",
    ),
    Rule(
        lambda spec: _uncut("source.videos.frames", spec.source and spec.source.videos.frames, spec.encode),
        cel=f"!has(self.source) || {_whole('self.source.videos.frames')}",
        message=_FITS,
        field=".source.videos.frames",
    ),
    Rule(
        _overlong,
        cel="!self.encode.enabled || self.encode.features.all(f, f.context != 'prefix' || !has(f.stride)"
        f" || {_MODEL}.contains(':') || f.stride <= {_FRAMES})",
        message="expected a stride of at most the frames of a clip, with context prefix",
        field=".encode.features",
    ),
)
"""Rules of ``spec`` about the frames that models take."""

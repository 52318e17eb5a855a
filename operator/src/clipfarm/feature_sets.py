"""The part of a run that lists sets of features (:mod:`clipfarm_contract.feature_sets`)."""

from typing import Annotated, Literal

from pydantic import Field

from clipfarm.cel import Rule
from clipfarm.model import Model
from clipfarm.weights import Weights
from clipfarm_contract.bounds import MOST_CROP
from clipfarm_contract.extraction import MOST_FRAMES, MOST_LAYERS, Extraction
from clipfarm_contract.feature_sets import MOST_SET_NAME, SET_NAME, WeightsSource, name_twice
from clipfarm_contract.feature_sets import FeatureSet as ContractSet
from clipfarm_contract.models import MOST_MODEL_NAME, VJEPA2_LAYERS, VJEPA2_PATCH, VJEPA2_STEP, facts
from clipfarm_contract.models import NAME as MODEL_NAME

_ASCENDING = "expected ascending numbers"


class FeatureSet(Model):
    """One set of features of each clip; what it leaves out is as ``encode`` says."""

    name: Annotated[str, Field(pattern=SET_NAME, max_length=MOST_SET_NAME)]
    """Name of the features' files, ``feature_maps/NAME.npy``. The default set has its model's name."""
    context: Literal["clip", "frame", "prefix"] = "clip"
    """Frames that a time step may know. clip: all; frame: its own alone; prefix: its own and those before."""
    stride: Annotated[int, Field(ge=1, le=MOST_FRAMES)] | None = None
    """Frames from one time step to the next, with context frame or prefix. Default: 1 for frame; for prefix what the
    model takes at a time, 2 for V-JEPA 2. With prefix and a V-JEPA 2 at most the frames of a clip."""
    window: Annotated[int, Field(ge=1, le=MOST_FRAMES)] | None = None
    """Time steps that a pass sees, its own included, with context prefix. Default: all since the first."""
    layers: tuple[Annotated[int, Field(ge=1, le=MOST_LAYERS)], ...] = Field(
        default=(), max_length=MOST_LAYERS, strict=False
    )
    """Layers to keep, counted from 1, in ascending order; empty: the model's own output."""
    pool: Literal["none", "space"] = "none"
    """space: keep the mean over the tokens of each time step."""
    model: Annotated[str, Field(pattern=MODEL_NAME, max_length=MOST_MODEL_NAME)] | None = None
    """Model; default: encode.model."""
    weights: Weights | None = None
    """Source of the model's weights; default: encode.weights."""
    crop_size: Annotated[int, Field(ge=14, le=MOST_CROP)] | None = None
    """Width and height of the model's input, pixels; default: encode.cropSize."""
    dtype: Literal["fp16", "fp32"] | None = None
    """Type of the saved features; default: encode.dtype."""

    rules = (
        Rule(
            lambda each: each.extraction.problem() if each.context == "clip" else None,
            cel="!has(self.stride) || self.context != 'clip'",
            message="expected only with context frame or prefix",
            field=".stride",
        ),
        Rule(
            lambda each: each.extraction.problem() if each.window is not None else None,
            cel="!has(self.window) || self.context == 'prefix'",
            message="expected only with context prefix",
            field=".window",
        ),
        Rule(
            lambda each: each.extraction.problem(),
            cel="self.layers.isSorted() && self.layers.all(a, self.layers.exists_one(b, a == b))",
            message=_ASCENDING,
            field=".layers",
        ),
    )

    @property
    def extraction(self) -> Extraction:
        """Which frames a time step may know, and what is kept."""
        return Extraction(self.context, self.stride, self.window, self.layers, self.pool)


def resolved(each: FeatureSet, model: str, weights: Weights, crop: int, dtype: Literal["fp16", "fp32"]) -> ContractSet:
    """Return a set as the encoder gets it, with what ``encode`` says where it says nothing itself."""
    source = each.weights or weights
    return ContractSet(
        each.name,
        each.model or model,
        WeightsSource(source.source, source.key, source.sha256, source.revision),
        each.crop_size or crop,
        each.dtype or dtype,
        each.extraction,
    )


def same_name(features: tuple[FeatureSet, ...]) -> str | None:
    """Return what is wrong if two sets have one name."""
    twice = name_twice([each.name for each in features])
    return None if twice is None else f'features: two sets have the name "{twice}", {ONE_NAME}'


ONE_NAME = "expected one name for each"
_MODEL = "(has(f.model) ? f.model : self.model)"
_CROP = "(has(f.cropSize) ? f.cropSize : self.cropSize)"
_LAYERS = ", ".join(f"'{name}': {layers}" for name, layers in VJEPA2_LAYERS.items())
PATCHES_CEL = f"self.features.all(f, {_MODEL}.contains(':') || {_CROP} % {VJEPA2_PATCH} == 0)"
STRIDES_CEL = (
    "self.features.all(f, f.context != 'prefix' || !has(f.stride)"
    f" || {_MODEL}.contains(':') || f.stride % {VJEPA2_STEP} == 0)"
)
LAYERS_CEL = (
    f"self.features.all(f, f.layers.size() == 0 || {_MODEL}.contains(':') || f.layers.max() <= {{{_LAYERS}}}[{_MODEL}])"
)
NAMES_CEL = "self.features.all(f, self.features.exists_one(g, g.name == f.name))"


def unfit(features: tuple[FeatureSet, ...], model: str, crop: int, field: str) -> str | None:
    """Return what a set asks of its model that the model cannot do, if that is in a field and known by its name.

    Args:
        features: the sets.
        model: of sets that name none.
        crop: of sets that name none, pixels.
        field: ``cropSize``, ``stride`` or ``layers``.
    """
    for i, each in enumerate(features):
        known = facts(each.model or model)
        if known is None:
            continue
        size = each.crop_size or crop
        wrong = each.extraction.unfit(known.step, known.layers)
        if field == "cropSize" and size % known.patch:
            return f"features[{i}].cropSize: found {size}, expected a multiple of {known.patch}, the model's patch size"
        if wrong is not None and wrong.startswith(f"{field}:"):
            return f"features[{i}].{wrong}"
    return None

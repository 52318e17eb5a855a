"""Feature sets: what is computed of each clip, and under which name it is kept."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from clipfarm_contract.bounds import MOST_CROP
from clipfarm_contract.extraction import DEFAULT, MOST_FRAMES, MOST_LAYERS, Context, Extraction, Pool
from clipfarm_contract.fields import ContractError, Fields, show
from clipfarm_contract.models import facts

Dtype = Literal["fp16", "fp32"]
DTYPES: Mapping[str, str] = {"fp16": "float16", "fp32": "float32"}
"""What a sidecar and NumPy call the types of saved values."""
SET_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""It is a folder's name, and a file's without the suffix."""
MOST_SET_NAME = 128
NAME_EXPECTED = f"at most {MOST_SET_NAME} letters, digits, '_', '.' and '-', and first a letter or digit"
MOST_SETS = 16


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """Where a model's weights come from, as a person names them."""

    source: str
    """A file, a folder, an https address, an id on Hugging Face, or ``random``."""
    key: str = "target_encoder"
    """Entry of a ``.pt`` file to use."""
    sha256: str | None = None
    """What the weights have to hash to."""
    revision: str | None = None
    """Commit on Hugging Face, if the source is an id there."""

    @classmethod
    def parse(cls, value: object, where: str) -> "WeightsSource":
        """Parse the JSON form.

        Raises:
            ContractError: it is not such an object.
        """
        fields = Fields(value, where)
        made = cls(
            fields.take("source", str),
            fields.maybe("key", str) or "target_encoder",
            fields.maybe("sha256", str),
            fields.maybe("revision", str),
        )
        fields.done()
        return made


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """One set of features of each clip."""

    name: str
    """Of its files: ``feature_maps/NAME.npy``, or ``NAME.safetensors`` for several layers, and ``NAME.json``."""
    model: str
    weights: WeightsSource
    crop: int = 256
    """Height and width of what the model sees, pixels."""
    dtype: Dtype = "fp16"
    """Type of the saved values."""
    extraction: Extraction = DEFAULT

    @classmethod
    def parse(cls, value: object, where: str, default: "FeatureSet") -> "FeatureSet":
        """Parse the JSON form, which is that of an entry of ``encode.features`` in a run file.

        Args:
            value: the entry.
            where: its name in messages.
            default: has the model, weights, crop and type of an entry that leaves them out.

        Raises:
            ContractError: it is no such entry, or breaks a rule; the message names the field.
        """
        if isinstance(value, dict):  # null is left out, as in a run file
            value = {field: each for field, each in value.items() if each is not None}
        fields = Fields(value, where)
        model = fields.maybe("model", str) or default.model
        weights = fields.take_object("weights", WeightsSource.parse) if fields.has("weights") else default.weights
        name = fields.maybe("name", str)
        made = cls(
            name or default_name(model),
            model,
            weights,
            _number(fields, "cropSize", MOST_CROP) or default.crop,
            cast("Dtype", _word(fields, "dtype", get_args(Dtype), default.dtype)),
            Extraction(
                cast("Context", _word(fields, "context", get_args(Context), "clip")),
                _number(fields, "stride", MOST_FRAMES),
                _number(fields, "window", MOST_FRAMES),
                fields.take_list("layers", _layer) if fields.has("layers") else (),
                cast("Pool", _word(fields, "pool", get_args(Pool), "none")),
            ),
        )
        fields.done()
        if not re.fullmatch(SET_NAME, made.name) or len(made.name) > MOST_SET_NAME:
            if not name:
                raise ContractError(f"{fields.path('model')}: found {show(model)}, expected a name as vjepa2_vitl16")
            raise ContractError(f"{fields.path('name')}: found {show(made.name)}, expected {NAME_EXPECTED}")
        if problem := made.extraction.problem():
            raise ContractError(fields.path(problem))
        return made

    @classmethod
    def parse_all(cls, value: object, where: str, default: "FeatureSet") -> tuple["FeatureSet", ...]:
        """Parse a list of sets, ``encode.features`` in JSON.

        Raises:
            ContractError: it is no such list, or two sets have one name.
        """
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_SETS:
            raise ContractError(f"{where}: found {show(value)}, expected a list of 1 to {MOST_SETS} feature sets")
        sets = tuple(cls.parse(each, f"{where}[{i}]", default) for i, each in enumerate(value))
        if twice := name_twice([each.name for each in sets]):
            raise ContractError(f"{where}: two sets have the name {show(twice)}, expected one name for each")
        return sets

    def uncut(self, frames: int) -> str | None:
        """Return what is wrong with the number of a clip's frames, if its model's name says it."""
        known, context = facts(self.model), self.extraction.context
        if known is None:
            return None
        if context == "clip" and frames % known.step:  # one pass takes all
            return f"found {frames}, expected a multiple of {known.step}, the frames that {self.model} takes at a time"
        if context == "prefix" and frames < known.step:
            return f"found {frames}, expected {known.step} or more, the frames that {self.model} takes at a time"
        return None

    def overlong(self, frames: int) -> str | None:
        """Return what is too long for a clip's frames, after the name of a field, if its model's name says it."""
        return None if facts(self.model) is None else self.extraction.overlong(frames)

    def unfit(self) -> str | None:
        """Return what is asked of the model that it cannot do, after the name of a field, if its name says it."""
        known = facts(self.model)
        if known is None:
            return None
        if self.crop % known.patch:
            return f"cropSize: found {self.crop}, expected a multiple of {known.patch}, the model's patch size"
        return self.extraction.unfit(known.step, known.layers)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form with everything filled in."""
        given, weights = self.extraction, self.weights
        source = {"source": weights.source, "key": weights.key, "sha256": weights.sha256, "revision": weights.revision}
        optional = {"stride": given.stride, "window": given.window, "layers": list(given.layers) or None}
        return {
            "name": self.name,
            "model": self.model,
            "weights": {name: value for name, value in source.items() if value is not None},
            "cropSize": self.crop,
            "dtype": self.dtype,
            "context": given.context,
            **{name: value for name, value in optional.items() if value is not None},
            "pool": given.pool,
        }


def default_name(model: str) -> str:
    """Return the name of a model's set if none is given: the model's, as a file's name."""
    return model.replace(":", "_")


def name_twice(names: Sequence[str]) -> str | None:
    """Return the first name that occurs twice; None if there is none."""
    return next((name for i, name in enumerate(names) if name in names[:i]), None)


def _word(fields: Fields, name: str, words: tuple[str, ...], default: str) -> str:
    found = fields.maybe(name, str) or default
    if found not in words:
        raise ContractError(f"{fields.path(name)}: found {show(found)}, expected one of {', '.join(words)}")
    return found


def _number(fields: Fields, name: str, most: int) -> int | None:
    found = fields.maybe(name, int)
    if found is not None and not 1 <= found <= most:
        raise ContractError(f"{fields.path(name)}: found {show(found)}, expected 1 to {most}")
    return found


def _layer(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_LAYERS:
        raise ContractError(f"{where}: found {show(value)}, expected 1 to {MOST_LAYERS}")
    return value

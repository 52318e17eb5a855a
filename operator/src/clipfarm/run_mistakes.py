"""What is wrong with a run, one line for each mistake: ``field: found X, expected Y``."""

import difflib
import json
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clipfarm.cel import number
from clipfarm.export import SECRET_NAME
from clipfarm.model import NO_NUL, Model
from clipfarm.run import RUN_NAME, Run
from clipfarm_contract.experiments.module import NAME as EXPERIMENT_NAME
from clipfarm_contract.feature_sets import SET_NAME
from clipfarm_contract.models import NAME as MODEL_NAME

MOST_LINES = 20
"""Mistakes that are shown of one file."""
METADATA = (
    "name", "namespace", "labels", "annotations", "generateName", "creationTimestamp", "deletionGracePeriodSeconds",
    "deletionTimestamp", "finalizers", "generation", "managedFields", "ownerReferences", "resourceVersion", "selfLink",
    "uid",
)  # fmt: skip
"""Fields of Kubernetes' metadata (ObjectMeta). A file is compared with them, objects of an API server are not: a later
version may have more."""


def unknown_metadata(metadata: Any) -> list[str]:
    """Return a line for each field that Kubernetes' metadata does not have: kubectl refuses it, and so do we."""
    unknown = [name for name in metadata if name not in METADATA] if isinstance(metadata, dict) else []
    return [f"metadata.{name}: unknown field{_close(name, METADATA)}" for name in unknown[:MOST_LINES]]


def error_lines(error: ValidationError) -> list[str]:
    """Return a line for each thing that is wrong with a run, as ``field: found X, expected Y``, and how many more."""
    details = _roots(error)
    lines = [_line(detail) for detail in details[:MOST_LINES]]
    more = len(details) - MOST_LINES
    return [*lines, f"and {more} more"] if more > 0 else lines


def _roots(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors without those that only follow from one deeper inside: a list is short by its bad item."""
    details = error.errors(include_url=False)
    above = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    return [detail for detail in details if detail["loc"] not in above]


def _line(detail: ErrorDetails) -> str:
    """Return ``field: found X, expected Y`` for one error of pydantic's."""
    field = _path(detail["loc"])
    kind, context, found = detail["type"], detail.get("ctx", {}), detail["input"]
    match kind:
        case "missing":
            return f"{field}: missing"
        case "extra_forbidden":
            return f"{field}: unknown field{_suggestion(detail['loc'])}"
        case "value_error":
            message = str(context["error"])
            # A rule about several fields of an object names the field itself, relative to the object.
            if _model_at(detail["loc"]):
                return f"{field}.{message}"
            return f"{field}: found {_show(found)}, {message}"
        case "model_type" | "model_attributes_type" | "dict_type":
            model = _model_at(detail["loc"])
            expected = model.shape if model is not None and issubclass(model, Model) else "an object"
        case "tuple_type":
            expected = "a list"
        case "literal_error":
            expected = str(context["expected"])
        case "greater_than_equal":
            expected = f"{number(context['ge'])} or more"
        case "greater_than":
            expected = f"more than {number(context['gt'])}"
        case "less_than_equal":
            expected = f"{number(context['le'])} or less"
        case "less_than":
            expected = f"less than {number(context['lt'])}"
        case "too_short":
            return f"{field}: found nothing, expected at least one"
        case "string_too_short":
            return f"{field}: found nothing, expected a text"
        case "too_long":
            return f"{field}: found {len(found)} entries, expected {context['max_length']} or fewer"
        case "string_too_long":
            return f"{field}: found {len(found)} characters, expected {context['max_length']} or fewer"
        case "string_pattern_mismatch":
            expected = _PATTERNS.get(context["pattern"], f"a text that matches {context['pattern']}")
        case "string_unicode":
            return f"{field}: found half a character, expected a text"
        case "int_type":
            expected = "a whole number"
        case "float_type" | "finite_number":
            expected = "a number"
        case "bool_type":
            expected = "true or false"
        case "string_type":
            expected = "a string"
            if isinstance(found, bool):
                words = "y, yes and on" if found else "n, no and off"
                expected += f"; without quotes, {words} are {_show(found)} in YAML"
        case _:
            expected = "what docs/run.md says of it"
    return f"{field}: found {_show(found)}, expected {expected}"


_PATTERNS = {
    EXPERIMENT_NAME: "lower-case letters, digits and dashes, and first a letter",
    RUN_NAME: "lower-case letters, digits and dashes, at most 52",
    NO_NUL: "a text without NUL characters",
    SET_NAME: "letters, digits, '_', '.' and '-', and first a letter or digit",
    SECRET_NAME: "a name that begins with clipfarm-export-",
    MODEL_NAME: "a model such as vjepa2_vitl16 or timm:vit_small_patch14_dinov2",
}
"""What patterns ask for, in words."""


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _suggestion(location: tuple[int | str, ...]) -> str:
    """Return `` (did you mean fps?)`` where a field of nearly that name exists."""
    model = _model_at(location[:-1])
    if model is None:
        return ""
    return _close(str(location[-1]), [field.alias or name for name, field in model.model_fields.items()])


def _close(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]}?)" if close else f", expected one of {', '.join(names)}"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the type of the object at a place of the run, None where there is a plain value."""
    model: type[BaseModel] | None = Run
    values: type[BaseModel] | None = None  # of the map that the next part is a key of
    for part in location:
        if isinstance(part, int):
            continue
        if values is not None:
            model, values = values, None
            continue
        by_alias = {field.alias or name: field for name, field in model.model_fields.items()} if model else {}
        annotation = by_alias[str(part)].annotation if str(part) in by_alias else None
        model = _model_of(annotation)
        if model is not None and _is_map(annotation):
            model, values = None, model
    return model


def _is_map(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(_is_map(part) for part in get_args(annotation))


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_of(part))), None)


def _show(value: object) -> str:
    """Return a plain value, or a list of some, as YAML has it, cut; of anything else its kind: it may be endless."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list) and (len(value) > 8 or any(isinstance(item, dict | list) for item in value)):
        return f"a list of {len(value)}"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."

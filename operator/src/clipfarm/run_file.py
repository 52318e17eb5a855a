"""Reading a BenchmarkRun from a YAML file, and saying in one line each what is wrong with it."""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clipfarm.cel import number
from clipfarm.export import SECRET_NAME
from clipfarm.model import NO_NUL, Model
from clipfarm.module import with_source
from clipfarm.run import KIND, RUN_NAME, Run
from clipfarm.yaml_documents import MOST_BYTES, DocumentError, documents
from clipfarm_contract import regular
from clipfarm_contract.experiments.module import NAME as EXPERIMENT_NAME
from clipfarm_contract.feature_sets import SET_NAME
from clipfarm_contract.fields import ContractError
from clipfarm_contract.models import NAME as MODEL_NAME

Overrides = Mapping[tuple[str, ...], Any]
"""Values from the command line, by their place in the document: ``("spec", "seed"): 7``."""
MOST_LINES = 20
"""Mistakes that are shown of one file."""
METADATA = (
    "name", "namespace", "labels", "annotations", "generateName", "creationTimestamp", "deletionGracePeriodSeconds",
    "deletionTimestamp", "finalizers", "generation", "managedFields", "ownerReferences", "resourceVersion", "selfLink",
    "uid",
)  # fmt: skip
"""Fields of Kubernetes' metadata (ObjectMeta). A file is compared with them, objects of an API server are not: a later
version may have more."""


class RunFileError(ValueError):
    """A run file that cannot be used; ``lines`` holds one line for each thing that is wrong."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def read_run(path: Path, overrides: Overrides | None = None) -> Run:
    """Read the one BenchmarkRun in a YAML file; other documents of the file are left alone.

    Raises:
        RunFileError: the file cannot be read, is not YAML, holds no or several runs, or the run makes no sense.
    """
    return parse_run(_content(path), str(path), overrides, path.parent)


def read_objects(path: Path) -> list[dict[str, Any]]:
    """Return all objects of a YAML file as they stand there; its one BenchmarkRun with the text of its module.

    Raises:
        RunFileError: as for :func:`read_run`, but what the run says is not looked at.
    """
    content = _content(path)
    run = run_document(content, str(path), path.parent)
    return [run if each.get("kind") == KIND else each for each in _unlisted(documents(content))]


def _content(path: Path) -> bytes:
    try:
        return regular.read_given(path, str(path), MOST_BYTES)
    except OSError as error:
        raise RunFileError([f"{path}: {error.strerror}"]) from error
    except ContractError as error:
        raise RunFileError([str(error)]) from error


def parse_run(content: bytes | str, where: str, overrides: Overrides | None = None, folder: Path | None = None) -> Run:
    """Parse the one BenchmarkRun in a YAML text, also one that stands in a list, as ``kubectl get -o yaml`` prints it.

    Args:
        content: the text.
        where: what messages call it.
        overrides: values in place of the text's.
        folder: of the file, to which the file of a module is relative; None: there is none.

    Raises:
        RunFileError: as for :func:`read_run`.
    """
    document = run_document(content, where, folder)
    for place, value in (overrides or {}).items():
        document = _put(document, place, value)
    try:
        return Run.model_validate(document)
    except ValidationError as error:
        raise RunFileError([f"{where}: {line}" for line in error_lines(error)]) from error


def run_document(content: bytes | str, where: str, folder: Path | None = None) -> dict[str, Any]:
    """Return the one BenchmarkRun in a YAML text as it stands there, with the text of its module.

    Raises:
        RunFileError: it is not YAML, holds no or several runs, or the module cannot be read.
    """
    try:
        found = documents(content.encode() if isinstance(content, str) else content)
    except DocumentError as error:
        raise RunFileError([f"{where}: {error}"]) from error
    runs = [document for document in _unlisted(found) if document.get("kind") == KIND]
    if len(runs) != 1:
        raise RunFileError([f"{where}: found {len(runs)} documents of kind {KIND}, expected one"])
    document = {name: value for name, value in runs[0].items() if name != "status"}
    if unknown := _unknown_metadata(document.get("metadata")):
        raise RunFileError([f"{where}: {line}" for line in unknown])
    if folder is None:
        return document
    try:
        return cast("dict[str, Any]", with_source(document, folder))
    except ContractError as error:
        raise RunFileError([f"{where}: {error}"]) from error


def _unlisted(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the objects among documents, and those in lists among them, in place of the lists."""
    objects, waiting = [], list(reversed(found))
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            items = each.get("items")
            if isinstance(items, list) and str(each.get("kind")).endswith("List"):
                waiting += reversed(items)
            else:
                objects.append(each)
    return objects


def _unknown_metadata(metadata: Any) -> list[str]:
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


def _put(document: Any, place: tuple[str, ...], value: Any) -> Any:
    """Return a document with a value at a place; the same object may stand at others, where it stays as it was."""
    if not place:
        return value
    if document is None:
        document = {}
    if not isinstance(document, dict):
        return document  # validation says so, with the field's name
    return document | {place[0]: _put(document.get(place[0]), place[1:], value)}


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

"""Reading a BenchmarkRun from a YAML file, and saying in one line each what is wrong with it."""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clipfarm.run import KIND, Run

Overrides = Mapping[tuple[str, ...], Any]
"""Values from the command line, by their place in the document: ``("spec", "seed"): 7``."""


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
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RunFileError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise RunFileError([f"{path}: not a text file in UTF-8"]) from error
    return parse_run(text, str(path), overrides)


def parse_run(text: str, where: str, overrides: Overrides | None = None) -> Run:
    """Parse the one BenchmarkRun in a YAML text.

    Raises:
        RunFileError: as for :func:`read_run`.
    """
    try:
        # A SafeLoader in all but one thing: a key that is given twice is refused.
        documents = list(yaml.load_all(text, _Loader))
    except yaml.YAMLError as error:
        raise RunFileError([f"{where}: {_yaml_problem(error)}"]) from error
    except RecursionError as error:
        raise RunFileError([f"{where}: nested too deeply"]) from error
    except ValueError as error:  # PyYAML takes 2020-13-45 for a date, and says only that it is none
        raise RunFileError([f"{where}: not YAML: {error}"]) from error
    runs = [document for document in documents if isinstance(document, dict) and document.get("kind") == KIND]
    if len(runs) != 1:
        raise RunFileError([f"{where}: found {len(runs)} documents of kind {KIND}, expected one"])
    document = runs[0]
    for place, value in (overrides or {}).items():
        _put(document, place, value)
    try:
        return Run.model_validate(document)
    except ValidationError as error:
        raise RunFileError([f"{where}: {line}" for line in error_lines(error)]) from error


def error_lines(error: ValidationError) -> list[str]:
    """Return one line for each thing that is wrong with a run: ``field: found X, expected Y``."""
    return [_line(detail) for detail in _roots(error)]


_MERGE = "tag:yaml.org,2002:merge"
"""The key ``<<``."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice; YAML's own rule, which PyYAML does not keep."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key has to be a name", key_node.start_mark)
            if key_node.tag == _MERGE:
                continue
            if key_node.value in seen:
                problem = f"{key_node.value} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return "not YAML: " + " ".join(str(error).split())


def _roots(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors without those that only follow from one deeper inside: a list is short by its bad item."""
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if not any(len(place) > len(detail["loc"]) and place[: len(detail["loc"])] == detail["loc"] for place in places)
    ]


def _put(document: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for name in place[:-1]:
        document = document.setdefault(name, {})
        if not isinstance(document, dict):
            return  # not an object: validation says so, with the field's name
    document[place[-1]] = value


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
        case "model_type" | "dict_type":
            expected = "an object"
        case "tuple_type":
            expected = "a list"
        case "literal_error":
            expected = str(context["expected"])
        case "greater_than_equal":
            expected = f"{_number(context['ge'])} or more"
        case "greater_than":
            expected = f"more than {_number(context['gt'])}"
        case "less_than_equal":
            expected = f"{_number(context['le'])} or less"
        case "less_than":
            expected = f"less than {_number(context['lt'])}"
        case "too_short" | "string_too_short":
            return f"{field}: found nothing, expected at least one"
        case "string_pattern_mismatch":
            expected = "lower-case letters, digits and dashes, at most 52"
        case "int_type":
            expected = "a whole number"
        case "float_type" | "finite_number":
            expected = "a number"
        case "bool_type":
            expected = "true or false"
        case "string_type":
            expected = "a string"
        case _:
            expected = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{field}: found {_show(found)}, expected {expected}"


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
    names = [field.alias or name for name, field in model.model_fields.items()]
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f" (did you mean {close[0]}?)" if close else f", expected one of {', '.join(names)}"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the type of the object at a place of the run, None where there is a plain value."""
    model: type[BaseModel] | None = Run
    for part in location:
        if isinstance(part, int):
            continue
        by_alias = {field.alias or name: field for name, field in model.model_fields.items()} if model else {}
        model = _model_of(by_alias[str(part)].annotation) if str(part) in by_alias else None
    return model


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


def _number(bound: float) -> str:
    """Return a bound as people write it; of a whole number every digit."""
    return f"{bound:g}" if isinstance(bound, float) else str(bound)

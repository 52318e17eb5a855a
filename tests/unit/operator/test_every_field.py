"""Each field of a run with values of every kind: the answer is in our words, and bounds are those of the definition."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from clipfarm.crd.generate import custom_resource_definition
from clipfarm.run import Run
from clipfarm.run_mistakes import error_lines
from helpers.bad_runs import GOOD, put

ODD: tuple[Any, ...] = (
    *(True, 0, -1, 1.5, 10**30, math.nan, math.inf, -math.inf),
    *("", "x", "1", "a\0b", "\ud800", "x" * 5000),
    *([], [1], [None], [[]], ["x"] * 100, [{}]),
    *({}, {"x": 1}, {"x": {}}, {"": ""}, {f"k{i}": "x" for i in range(100)}),
)
PYDANTIC = ("Input should", "input should", "nput ", "valid ", "pydantic", "Value error", "docs/run.md")
SPEC = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field with its schema, named as ``put`` takes it; of a list the first item."""
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from fields(each, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}.0")
    if "additionalProperties" in schema:
        yield from fields(schema["additionalProperties"], f"{path}.x")


FIELDS = dict(fields(SPEC, "spec"))


RUN = yaml.safe_load(GOOD)


def document() -> dict[str, Any]:
    """A good run that has an item in each list."""
    made: dict[str, Any] = copy.deepcopy(RUN)
    lawful = {"objects": ["cube"], "factors": {"x": {"values": [0]}}}
    for part in (made["spec"]["experiment"], made["spec"]["experiment"]["phases"][0]):
        part |= lawful | {"exclude": [{"objects": ["cone"], "factors": {"x": {"values": [1]}}}]}
    view = {"name": "side", "camera": {"azimuth": 90}, "layers": ["rgb"]}
    made["spec"]["experiment"] |= {"layers": ["rgb", "depth"], "views": [view]}
    made["spec"]["export"] = {"format": "hf", "license": "mit", "features": ["a"], "layers": ["depth"]}
    for part in ("render", "encode"):
        pod = {"tolerations": [{"key": "a"}], "imagePullSecrets": ["a"]}
        made["spec"].setdefault(part, {})["pod"] = pod
    made["spec"]["render"]["command"] = ["true"]
    made["spec"]["encode"]["features"] = [{"name": "a", "layers": [8], "weights": {"source": "random"}}]
    return made


def lines(field: str, value: Any) -> list[str]:
    """What is said of a run with a value; nothing if it is taken."""
    run = document()
    put(run, field, copy.deepcopy(value))
    try:
        Run.model_validate(run)
    except ValidationError as error:
        return error_lines(error)
    return []


def test_the_run_that_is_changed_is_a_good_one():
    Run.model_validate(document())
    assert len(FIELDS) > 100


@pytest.mark.parametrize("field", FIELDS)
def test_whatever_stands_in_a_field_is_answered_in_our_words(field):
    for value in ODD:
        for line in lines(field, value):
            assert "\n" not in line
            assert ": " in line or line.startswith("and "), line
            assert not any(word in line for word in PYDANTIC), line


def beyond(schema: dict[str, Any]) -> Iterator[Any]:
    """Values just outside each bound of a schema."""
    if "minimum" in schema:
        yield schema["minimum"] - (0 if schema.get("exclusiveMinimum") else 1)
    if "maximum" in schema:
        yield schema["maximum"] + (0 if schema.get("exclusiveMaximum") else 1)
    if schema.get("minLength"):
        yield ""
    if "maxLength" in schema and "enum" not in schema:
        yield "x" * (schema["maxLength"] + 1)
    if "maxItems" in schema:
        yield ["x"] * (schema["maxItems"] + 1)
    if schema.get("minItems"):
        yield []
    if "maxProperties" in schema:
        yield {f"k{i}": "x" for i in range(schema["maxProperties"] + 1)}


@pytest.mark.parametrize("field", [name for name, schema in FIELDS.items() if list(beyond(schema))])
def test_what_the_definition_bounds_a_file_may_not_exceed(field):
    for value in beyond(FIELDS[field]):
        assert lines(field, value), f"{field}: {str(value)[:40]} is taken"

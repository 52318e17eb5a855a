"""docs/run.md and docs/experiments.md: examples are runs, they show every field, and tables are made from the code."""

import re
from collections.abc import Iterator

import pytest
import yaml

from clipfarm.crd import reference
from clipfarm.crd.generate import custom_resource_definition
from clipfarm.module import with_source
from clipfarm.run import Run
from helpers.chart import ROOT
from helpers.runs import document

DOCUMENT = (ROOT / "docs" / "run.md").read_text()
EXPERIMENTS = (ROOT / "docs" / "experiments.md").read_text()


def examples(document: str) -> list[dict]:
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", document, re.M | re.S)]


EXAMPLES = examples(DOCUMENT)


def whole(example: dict) -> dict:
    """A run with what an example shows, and no more than it needs beside that."""
    if "kind" in example:
        return example
    base = document(17000)
    spec = base["spec"] | example
    if "phases" not in spec["experiment"]:
        spec["experiment"] = base["spec"]["experiment"] | spec["experiment"]
    return base | {"spec": spec}


@pytest.mark.parametrize("example", EXAMPLES + examples(EXPERIMENTS), ids=lambda example: "-".join(example))
def test_an_example_is_a_run_that_makes_sense(example: dict):
    Run.model_validate(with_source(whole(example), ROOT / "examples" / "own-experiment"))


def paths(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from paths(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for each in value:
            yield from paths(each, f"{path}[]")
    yield path


def fields(schema: dict, path: str = "") -> Iterator[str]:
    for name, each in schema["properties"].items():
        inner, below = each.get("items", each), f"{path}{name}" + ("[]" if "items" in each else "")
        if "properties" in inner:
            yield from fields(inner, f"{below}.")
        else:
            yield path + name


def test_every_field_is_shown_by_an_example():
    shown = {path for example in EXAMPLES for path in paths(example.get("spec", example))}
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert not set(fields(schema)) - shown


def test_the_table_of_fields_is_up_to_date():
    assert reference.updated(DOCUMENT, reference.fields()) == DOCUMENT, "run `make docs`"


def test_the_tables_of_factors_are_up_to_date():
    assert reference.updated(EXPERIMENTS, reference.factors()) == EXPERIMENTS, "run `make docs`"


def test_a_document_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="found no table, expected the lines"):
        reference.updated("# Nothing\n", reference.fields())

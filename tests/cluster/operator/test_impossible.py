"""Combinations that no clip can show: whatever the API server accepts of them, the operator refuses before any Job.

Each is one line of `clipfarm plan`. The API server refuses what its rules can say at a reasonable cost. The status of a
run that it accepts has the line of the plan, word for word.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from clipfarm.run_file import RunFileError, parse_run
from helpers.cluster import ApiError, ControlPlane, Namespace, temporary_namespace
from helpers.local import wait_until
from helpers.operators import CONFIG_MAPS, JOBS, RUNS, Operator, Runs, run_document

HELD_OUT = "found every clip held out, expected some that are not"
TOGETHER = "exclude: found every clip held out by its entries together, expected some that are not"
AT = {"min": 4, "max": 8}


def of(**factors: Any) -> dict[str, Any]:
    return {"factors": factors}


def violation(kind: str, **experiment: Any) -> dict[str, Any]:
    return {"violations": {"kinds": [kind], "at": AT}} | experiment


# What the experiment has beside push's default phase, the line of the plan, and whether the API server refuses it.
CASES: dict[str, tuple[dict[str, Any], str, bool]] = {
    "its one object": ({"exclude": [{"objects": ["cube"]}]}, f"exclude[0]: {HELD_OUT}", False),
    "all objects": (
        {"objects": ["cube", "cone"], "exclude": [{"objects": ["cone", "cube"]}]}, f"exclude[0]: {HELD_OUT}", False),
    "all values": ({"exclude": [of(friction={"min": 0.2})]}, f"exclude[0]: {HELD_OUT}", False),
    "a constant": ({"exclude": [of(mass={"value": 1})]}, f"exclude[0]: {HELD_OUT}", False),
    "two halves": ({"exclude": [of(size={"max": 1.3}), of(size={"min": 1.2})]}, TOGETHER, False),
    "each object by itself": (
        {"objects": ["cube", "cone"], "exclude": [{"objects": ["cube"]}, {"objects": ["cone"]}]}, TOGETHER, False),
    "whole numbers": (
        {"name": "drop", "exclude": [of(bodies={"value": 1}), of(bodies={"value": 2})]}, TOGETHER, False),
    "an object of one place for teleport": (
        violation("teleport", factors={"x": {"value": 0}, "y": {"value": 1}}),
        "violations: found one value of x and y, expected more, of which teleport takes two", False),
    "one shape": (
        violation("shape"), "violations: found one value of object, expected more, of which shape takes two", True),
    "one shape twice": (
        violation("shape", objects=["cube", "cube"]),
        "violations: found one value of object, expected more, of which shape takes two", False),
    "one colour": (
        violation("colour", factors={"hue": {"value": 0.3}}),
        "violations: found one value of hue, expected more, of which colour takes two", False),
    "no friction to lose": (
        violation("perpetual", phase={"friction": {"min": 0, "max": 0.2}}),
        "violations: found no friction, expected some, which perpetual takes away", False),
    "a sphere that rolls": (
        violation("perpetual", objects=["cube", "sphere"]),
        "violations: found sphere among the objects, which rolls, expected others for perpetual", True),
    "friction at walls": (
        violation("perpetual", factors={"wallFriction": {"value": 0.1}}),
        "violations: found wallFriction, expected none for perpetual", False),
    "a kind of another experiment": (
        violation("no-reaction"),
        'violations.kinds: found "no-reaction", which push does not have; collide does', True),
    "twins that are held out": (
        {"twins": {"of": 2, "vary": ["mass"]}, "exclude": [{"objects": ["cone"]}]},
        "exclude: found beside twins, expected one of the two", True),
    "twins and violations": (
        violation("vanish", twins={"of": 4, "vary": ["mass"]}),
        "twins: found beside violations, expected one of the two", True),
    "a law of nothing": ({"factors": {"size": {"value": None}}}, "factors.size.min: expected one of", True),
    "an entry of nothing": ({"exclude": [None]}, "exclude[0]: found null, expected an object", True),
    "a condition of nothing": (
        {"exclude": [of(size={"min": None})]}, "exclude[0].factors.size.min: expected min or max or both", True),
    "a factor of nothing": (
        {"exclude": [of(size=None)]}, "exclude[0].objects: expected objects or factors", True),
    "values of nothing": (
        {"factors": {"size": {"values": [1, None]}}}, "factors.size.values[1]: found null, expected a number", True),
}  # fmt: skip


def document(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    made = run_document(name, 4)
    experiment = copy.deepcopy(changes)
    phase = made["spec"]["experiment"]["phases"][0] | experiment.pop("phase", {})
    if changes.get("name", "push") != "push":
        phase["mass"] = {"min": 1, "max": 2}
    made["spec"]["experiment"] = made["spec"]["experiment"] | experiment | {"phases": [phase]}
    return made


@pytest.fixture(scope="module")
def refused(
    definition: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Runs, dict[str, str]]]:
    """What the API server says of each; and an operator that looks at those which it accepts."""
    with temporary_namespace(definition.api, "impossible") as namespace:
        said = {case: create(namespace, document(f"run-{i}", CASES[case][0])) for i, case in enumerate(CASES)}
        operator = Operator(definition, namespace, tmp_path_factory.mktemp("operator")).start()
        yield Runs(namespace), said
        operator.end()


def create(namespace: Namespace, run: dict[str, Any]) -> str:
    try:
        namespace.api.request("POST", namespace.api.path(RUNS, namespace.name) + "?fieldValidation=Strict", run)
    except ApiError as error:
        return error.message
    return ""


@pytest.mark.parametrize("case", CASES)
def test_a_combination_that_cannot_be_is_refused_with_the_words_of_the_plan(refused, case):
    runs, said = refused
    changes, line, by_the_api_server = CASES[case]
    with pytest.raises(RunFileError) as error:
        parse_run(json.dumps(document("run", changes)), "run.yaml")
    (planned,) = error.value.lines
    assert planned.startswith(f"run.yaml: spec.experiment.{line}")
    assert bool(said[case]) == by_the_api_server, said[case]
    if not by_the_api_server:
        name = f"run-{list(CASES).index(case)}"
        wait_until(lambda: runs.status(name).get("phase") == "Invalid", "the run to say so")
        assert runs.condition("Ready", name)["message"] == planned.removeprefix("run.yaml: ")


def test_a_law_without_a_value_is_none_to_the_plan_and_to_the_api_server(definition: ControlPlane):
    changes = {"factors": {"size": None, "yaw": {"value": 0}}, "phase": {"friction": None, "mass": None}}
    run = document("run", changes)
    with temporary_namespace(definition.api, "without-a-value") as namespace:
        assert create(namespace, run) == ""
        kept = namespace.get(RUNS, "run")
    planned = parse_run(json.dumps(run), "run.yaml")
    assert planned.spec.experiment == parse_run(json.dumps(kept), "kept").spec.experiment
    assert set(planned.spec.experiment.factors or {}) == {"yaw"}


def test_nothing_is_made_for_them(refused):
    runs, said = refused
    accepted = [f"run-{i}" for i, case in enumerate(CASES) if not said[case]]
    wait_until(lambda: all(runs.status(name).get("phase") == "Invalid" for name in accepted), "all runs to say so")
    assert runs.namespace.list(JOBS) == []
    assert [each for each in runs.namespace.list(CONFIG_MAPS) if "clipfarm" in str(each["metadata"])] == []

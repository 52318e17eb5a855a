"""`clipfarm plan` names the experiment and how its clips belong together."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from clipfarm.cli.plan import plan
from helpers.runs import document

CASES = {
    "push": ({}, None),
    "drop": ({"name": "drop"}, "  experiment drop"),
    "twins": (
        {"twins": {"of": 2, "vary": ["mass", "hue"]}},
        "  experiment push; twins: groups of 2 clips that differ in mass, hue",
    ),
    "violations": (
        {"name": "occlude", "violations": {"kinds": ["vanish", "colour"], "at": {"min": 3, "max": 9}}},
        "  experiment occlude; groups of 4 clips, two of them impossible: vanish, colour",
    ),
}


@pytest.mark.parametrize(("fields", "expected"), CASES.values(), ids=CASES)
def test_a_plan_names_an_experiment_that_is_not_plain_push(tmp_path: Path, fields: dict, expected: str | None):
    run = document(8)
    run["spec"]["experiment"] |= fields
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    ran = CliRunner().invoke(plan, [str(path)])
    assert ran.exit_code == 0, ran.output
    assert [line for line in ran.output.splitlines() if "experiment" in line] == ([expected] if expected else [])

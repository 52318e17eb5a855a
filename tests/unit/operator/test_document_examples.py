"""The rule in docs/extending.md works as it is written there."""

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from clipfarm.decide.rules.subjects import Candidate
from helpers.chart import ROOT
from helpers.runs import make_run, make_world

NOW = 50.0


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)
    [text] = [each for each in examples if "RULE = " in each]
    module: dict[str, Any] = {"__name__": "quiet_hours"}
    exec(compile(text, "docs/extending.md", "exec", dont_inherit=True), module)
    return module


def held(example: dict[str, Any], day: int, time: str, hours: dict[str, str] | None) -> tuple[Any, Any, Any]:
    wall = datetime.fromisoformat(f"2026-11-{day:02}T{time}").replace(tzinfo=UTC).timestamp()
    world = make_world(make_run(), now=NOW, wall=wall)
    spec = example["Options"].model_validate({"quietHours": hours})
    situation = SimpleNamespace(run=SimpleNamespace(spec=spec), world=world)
    rule, clip = example["RULE"], Candidate(0)
    return rule.holds(clip, situation), rule.takes_back(situation), rule.until(clip, situation)


def test_the_example_of_a_rule_holds_clips_in_its_hours(example):
    message = "quiet hours from 08:00 to 18:00 UTC; clips start again at 18:00"
    hours = {"begin": "08:00", "end": "18:00"}
    assert held(example, 27, "17:58:30", hours) == (message, message, NOW + 90)
    assert held(example, 27, "08:00:00", hours)[0] == message
    assert held(example, 27, "18:00:00", hours)[:2] == (None, None)
    assert held(example, 28, "12:00:00", hours)[:2] == (None, None)  # a Saturday
    assert held(example, 27, "12:00:00", None) == (None, None, None)


def test_the_example_of_a_rule_refuses_what_is_no_time(example):
    with pytest.raises(ValidationError):
        example["Options"].model_validate({"quietHours": {"begin": "8:00", "end": "18:00"}})

"""docs/export.md: what it shows of a run file is one that is taken, and it shows every field."""

import re

import yaml

from clipfarm.export import Export
from helpers.chart import ROOT
from helpers.runs import make_run


def test_the_exports_of_the_document_are_taken_and_show_every_field():
    shown = re.findall(r"```yaml\n(export:\n.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    asked = [yaml.safe_load(text)["export"] for text in shown]
    phases = [{"name": "A", "clips": {"start": 0, "end": 9}, "friction": {"min": 0.5, "max": 0.9},
               "mass": {"min": 1, "max": 1}}]  # fmt: skip
    for each in asked:
        encode = {"weights": {"source": "random"}}
        make_run(10, encode=encode, experiment={"layers": ["rgb", "depth"], "phases": phases}, export=each)
    assert {name for each in asked for name in each} == {field.alias for field in Export.model_fields.values()}

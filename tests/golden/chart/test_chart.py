"""What the chart renders, as a whole."""

from pathlib import Path

import pytest

from helpers.chart import program

from .make import VALUES, golden, text


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_values_become_what_their_golden_file_says(values: Path):
    assert text(values, program()) == golden(values).read_text(), "run `make chart`, and look at what changes"


def test_every_golden_file_has_its_values():
    assert sorted(Path(__file__).parent.glob("*.yaml")) == [golden(values) for values in VALUES]

"""One table of spellings, read as kubectl reads them; the same table is applied to an API server in tests/cluster."""

from typing import Any

import pytest

from clipfarm.run_file import RunFileError, parse_run
from helpers.spellings import REFUSED, SPELLINGS, Spelling


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.name[:60])
def test_a_spelling_is_taken_or_refused(spelling: Spelling):
    if spelling.value is REFUSED:
        with pytest.raises(RunFileError) as error:
            parse_run(spelling.content, "run.yaml")
        assert all(line.startswith("run.yaml: ") and "\n" not in line for line in error.value.lines)
        return
    found: Any = parse_run(spelling.content, "run.yaml").model_dump(mode="json", by_alias=True)
    for name in spelling.field.split("."):
        found = found[int(name)] if name.isdigit() else found[name]
    assert found == spelling.value
    assert isinstance(found, bool) == isinstance(spelling.value, bool)


def test_names_of_spellings_differ():
    assert len({spelling.name for spelling in SPELLINGS}) == len(SPELLINGS)

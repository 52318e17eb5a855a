"""What an export's container reports: it fits into a termination message, and what is none is refused."""

import json

import pytest

from clipfarm_contract.export_end import MAX_BYTES, MOST_REASONS, ExportEnd, grouped
from clipfarm_contract.fields import ContractError


@pytest.mark.parametrize(
    "end",
    [
        ExportEnd(clips=97, files=12, size=73_400_320, left_out=3, reasons=("clips 4,7-8: failed to render: black",)),
        ExportEnd(error="/export/friction: not empty (thesis.tex), expected an empty folder or an export"),
        ExportEnd(),
    ],
)
def test_what_is_written_is_read_again(end):
    assert ExportEnd.parse(end.dump()) == end


def test_a_message_fits_however_long_its_reasons_are():
    end = ExportEnd(1, 2, 3, 4, tuple(f"{i} {'é' * 5000}" for i in range(9)))
    text = end.dump()
    assert len(text.encode()) <= MAX_BYTES
    assert ExportEnd.parse(text).reasons[0].startswith("0 é")
    assert len(ExportEnd(error="\n\x1b[31mé" * 5000).dump().encode()) <= MAX_BYTES


@pytest.mark.parametrize(
    "text",
    ["", "Killed", "[]", "{}", '{"error": 3}', '{"clips": -1, "files": 0, "bytes": 0, "leftOut": 0}',
     '{"clips": 1, "files": 0, "bytes": 1e30, "leftOut": 0}',
     '{"clips": 1, "files": 0, "bytes": 0, "leftOut": 0, "reasons": [3]}'],
)  # fmt: skip
def test_what_is_no_such_message_is_refused(text):
    with pytest.raises(ContractError):
        ExportEnd.parse(text)


def test_what_a_later_version_adds_is_ignored():
    assert ExportEnd.parse(json.dumps(json.loads(ExportEnd(3).dump()) | {"seconds": 4})) == ExportEnd(3)


def test_reasons_are_listed_with_their_clips_the_most_frequent_first():
    left_out = [("clip_00003", "was black"), *[(f"clip_{i:05d}", "was not made") for i in (9, 7, 8, 11)]]
    assert grouped(left_out) == ("clips 7-9,11: was not made", "clip 3: was black")
    assert len(grouped((f"clip_{i:05d}", str(i)) for i in range(20))) == MOST_REASONS
    [line] = grouped((f"clip_{i:05d}", "odd") for i in range(0, 2000, 2))
    assert line.startswith("clips 0,2,4")
    assert line.endswith(",...: odd")
    assert len(line) < 150

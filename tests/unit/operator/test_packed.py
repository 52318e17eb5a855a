"""Sets of clips as text in little room."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm.packed import MOST_PLAIN, PREFIX, pack, unpack
from clipfarm_contract.bounds import LAST_CLIP
from clipfarm_contract.indexes import Indexes


@given(st.sets(st.integers(0, 3000) | st.integers(LAST_CLIP - 3000, LAST_CLIP), max_size=2000))
def test_what_is_packed_is_unpacked_again(numbers):
    clips = Indexes.of(numbers)
    assert unpack(pack(clips)) == clips


@pytest.mark.parametrize("text", ["", "7", "1,3-5", "0-9999999"])
def test_short_ranges_stay_readable(text):
    assert pack(Indexes.parse(text)) == text


@pytest.mark.parametrize(("clips", "most"), [(50_000, 100), (1_000_000, 2000)])
def test_every_second_clip_takes_little_room(clips, most):
    packed = pack(Indexes.of(range(1, clips, 2)))
    assert packed.startswith(PREFIX)
    assert len(packed) < most


def test_ranges_of_any_length_are_read_as_an_earlier_version_wrote_them():
    ranges = ",".join(map(str, range(0, 10_000, 2)))
    assert len(ranges) > MOST_PLAIN
    assert unpack(ranges).count == 5000


def bitmap(data: bytes, first: str = "0") -> str:
    return f"{PREFIX}{first}:{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "expected ranges"),
        ("zlib:", "expected zlib:FIRST:BASE64"),
        (bitmap(b"", "-1"), "expected zlib:FIRST:BASE64"),
        (bitmap(b"x", "12345678"), "expected zlib:FIRST:BASE64"),
        ("zlib:0:A", "expected a compressed bitmap"),
        (bitmap(b"not compressed"), "expected a compressed bitmap"),
        (bitmap(zlib.compress(b"x")[:-5]), "expected a whole bitmap"),
        (bitmap(zlib.compress(bytes(2**28))), "expected a whole bitmap of at most 1250000 bytes"),
    ],
)
def test_what_is_no_such_text_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        unpack(text)

"""What a PNG's chunks say, of files that end anywhere."""

import io

import pytest
from PIL import Image

from clipfarm_encode.files import png


def picture():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    return file.getvalue()


def test_a_whole_file_has_its_end_and_eight_bits_a_channel():
    assert png.read(picture()) == png.Chunks(picture(), 8, animated=False, ended=True)


@pytest.mark.parametrize("size", range(40))
def test_a_file_may_end_within_its_first_chunk(size):
    cut = picture()[:size]
    assert png.read(cut) == png.Chunks(cut, 8, animated=False, ended=False)

"""Sets of clips as text that takes little room: as ranges while these are short, else as a compressed bitmap.

Every second of 50,000 clips takes 144 KB as ranges and 50 bytes like this; any half of 1,000,000 clips takes 170 KB.
Such a text stands in annotations of objects that are written once a second.
"""

import base64
import binascii
import re
import zlib

from clipfarm_contract.bounds import LAST_CLIP
from clipfarm_contract.indexes import Indexes

MOST_PLAIN = 1000
"""Characters of ranges that people may want to read."""
PREFIX = "zlib:"
"""Begins a bitmap: ``zlib:FIRST:BASE64``, where the lowest bit stands for the number FIRST."""
_BITMAP = re.compile(rf"{PREFIX}([0-9]{{1,7}}):([A-Za-z0-9+/=]+)")
_MOST_BYTES = LAST_CLIP // 8 + 1


def pack(numbers: Indexes) -> str:
    """Return a set of numbers, each at most :data:`~clipfarm_contract.bounds.LAST_CLIP`, as text."""
    text = str(numbers)
    if len(text) <= MOST_PLAIN:
        return text
    first, last = numbers.ranges[0][0], numbers.ranges[-1][1]
    digits = bytearray(b"0" * (last - first + 1))  # the highest bit first
    for low, high in numbers.ranges:
        digits[last - high : last - low + 1] = b"1" * (high - low + 1)
    bitmap = int(digits, 2).to_bytes((len(digits) + 7) // 8, "little")
    return f"{PREFIX}{first}:{base64.b64encode(zlib.compress(bitmap, 9)).decode()}"


def unpack(text: str) -> Indexes:
    """Return the numbers of a text that :func:`pack` made, or of ranges of any length.

    Raises:
        ValueError: the text is neither.
    """
    if not text.startswith(PREFIX):
        return Indexes.parse(text)
    match = _BITMAP.fullmatch(text)
    if match is None:
        raise ValueError(f'found "{text[:60]}", expected {PREFIX}FIRST:BASE64')
    first, reader = int(match[1]), zlib.decompressobj()
    try:
        bitmap = reader.decompress(base64.b64decode(match[2], validate=True), _MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f'found "{text[:60]}", expected a compressed bitmap: {error}') from None
    if not reader.eof:
        raise ValueError(f'found "{text[:60]}", expected a whole bitmap of at most {_MOST_BYTES} bytes')
    digits = f"{int.from_bytes(bitmap, 'little'):b}"[::-1]  # the lowest bit first
    ranges = tuple((first + run.start(), first + run.end() - 1) for run in re.finditer("1+", digits))
    return Indexes(ranges, sum(high - low + 1 for low, high in ranges))

"""The head of a safetensors file, read without its library: which arrays are in it.

The format (https://github.com/huggingface/safetensors): the length of the head, 8 bytes, lowest first; the head, a JSON
object with type, shape and place of each array; then the values, without a gap.
"""

import math
import struct
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError, Fields, load
from clipfarm_contract.npy import Head

LONGEST_HEAD = 2**16
"""Of 64 arrays it takes 6 KiB."""
_LENGTH = struct.Struct("<Q")
_ITEMS = {"F16": "e", "F32": "f"}
"""What :mod:`struct` calls the types of values that clipfarm writes."""


def read_heads(path: Path, longest: int = LONGEST_HEAD) -> dict[str, Head]:
    """Return the heads of a file's arrays by name, if the file is as long as they say; the values are not read.

    Args:
        path: of the file.
        longest: bytes that its head may have; a file with the features of many clips has a longer one.

    Raises:
        OSError: it cannot be read.
        ContractError: it is no regular file, no such file, or holds less or more than its head says.
    """
    with regular.opened(path, path.name) as file:
        start = file.read(_LENGTH.size)
        length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else 0
        if not 2 <= length <= longest:
            raise ContractError("it does not begin as a .safetensors file does")
        text = file.read(length)
        size = file.seek(0, 2)
    document = load(text, path.name)
    if not isinstance(document, dict):
        raise ContractError("its head is no object")
    heads = {name: _head(each, name, len(start) + length) for name, each in document.items() if name != "__metadata__"}
    end = len(start) + length
    for head in sorted(heads.values(), key=lambda each: each.start):
        if head.start != end:
            raise ContractError("its arrays do not lie one after the other")
        end += head.value_bytes
    if size != end:
        raise ContractError(f"{size} bytes, expected {end}")
    return heads


def _head(value: object, name: str, values: int) -> Head:
    fields = Fields(value, name)
    item = _ITEMS.get(kind := fields.take("dtype", str))
    shape, place = (fields.take_list(each, _size) for each in ("shape", "data_offsets"))
    if item is None:
        raise ContractError(f"{name}: found values of {kind}, expected one of {', '.join(_ITEMS)}")
    if len(place) != 2 or place[1] - place[0] != math.prod(shape) * struct.calcsize(item):
        raise ContractError(f"{name}: its place is not as long as its shape says")
    return Head(shape, item, values + place[0])


def _size(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ContractError(f"{where}: expected a number")
    return value

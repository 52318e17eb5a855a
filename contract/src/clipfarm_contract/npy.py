"""The head of a NumPy file (numpy.lib.format, versions 1 to 3), read without NumPy."""

import ast
import math
import operator
import struct
from dataclasses import dataclass
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError

_DAMAGE = (struct.error, IndexError, ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError)
_MAGIC = b"\x93NUMPY"
LONGEST_HEAD = 10_012
"""NumPy reads no longer ones either, unless it is told to trust them."""
ITEMS = {"<f4": "f", "<f2": "e", "|u1": "B", "<f8": "d"}
"""What :mod:`struct` calls the types of values that clipfarm writes."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of the array in it, whose values follow row by row."""

    shape: tuple[int, ...]
    item: str
    """Type of a value, as :mod:`struct` calls it."""
    start: int
    """Where the values begin, bytes."""

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def value_bytes(self) -> int:
        """What all values take."""
        return self.count * struct.calcsize(self.item)

    @classmethod
    def parse(cls, data: bytes) -> "Head":
        """Read a head from the beginning of a file.

        Raises:
            ContractError: it is none, or of an array that clipfarm does not write.
        """
        if not data.startswith(_MAGIC):
            raise ContractError("it does not begin as a .npy file does")
        try:
            form = "<H" if data[6] == 1 else "<I"
            (length,) = struct.unpack_from(form, data, 8)
            end = 8 + struct.calcsize(form) + length
            text = data[end - length : min(end, LONGEST_HEAD)].decode("latin-1")
            fields = ast.literal_eval(text)
            shape, kind, columns_first = (fields[name] for name in ("shape", "descr", "fortran_order"))
            sizes = [operator.index(size) for size in shape]
        except _DAMAGE as error:
            raise ContractError(f"its head is damaged: {error}") from None
        if columns_first:
            raise ContractError("columns come first")
        if not isinstance(kind, str) or kind not in ITEMS or any(size < 0 for size in sizes):
            raise ContractError(f"found values of {kind}, shape {shape}, expected one of {', '.join(ITEMS)}")
        return cls(tuple(sizes), ITEMS[kind], end)


def read_head(path: Path) -> Head:
    """Return the head of a file that holds the array that it speaks of, by its size; the values are not read.

    Raises:
        OSError: it cannot be read.
        ContractError: it is no regular file, holds no such array, or holds less or more than it.
    """
    with regular.opened(path, path.name) as file:
        head = Head.parse(file.read(LONGEST_HEAD))
        size = file.seek(0, 2)
    if size != head.start + head.value_bytes:
        raise ContractError(f"{size} bytes, expected {head.start + head.value_bytes}")
    return head

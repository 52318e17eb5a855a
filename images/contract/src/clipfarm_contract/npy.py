"""The head of a NumPy file (numpy.lib.format, versions 1 to 3), read without NumPy."""

import ast
import math
import operator
import struct
from dataclasses import dataclass
from pathlib import Path

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


def is_whole(path: Path) -> bool:
    """Tell whether a file holds the array that it speaks of, by its size; the values are not read.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(LONGEST_HEAD)
        try:
            head = Head.parse(data)
        except ContractError:
            return False
        return file.seek(0, 2) == head.start + head.value_bytes

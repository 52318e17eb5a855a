"""Reading a small file that another program may have put there, or something else in its place."""

import os
import stat
from pathlib import Path

from clipfarm_contract.fields import ContractError

MOST_BYTES = 64 * 2**20
"""A clip.json of a hundred thousand files has 12 MiB."""


def read(path: Path, where: str, most: int = MOST_BYTES) -> bytes:
    """Return a file's content; a FIFO or a device is not waited for, and no file is read that would fill the memory.

    Raises:
        OSError: it cannot be opened or read.
        ContractError: it is no regular file, or has more than ``most`` bytes; the message begins with ``where``.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ContractError(f"{where}: not a regular file")
    with open(descriptor, "rb") as file:  # noqa: PTH123 - opened already
        content = file.read(most + 1)
    if len(content) > most:
        raise ContractError(f"{where}: more than {most} bytes")
    return content

"""Reading a file that another program may have put there, or something else in its place.

A FIFO or a device is never waited for, and nothing is read that would fill the memory. An error of reading says nothing
about a file, unless it says that the file is not there (:func:`is_gone`).
"""

import errno
import os
import select
import stat
import time
from io import BufferedReader
from pathlib import Path

from clipfarm_contract.fields import ContractError

MOST_BYTES = 64 * 2**20
"""A clip.json of a hundred thousand files has 12 MiB."""
MOST_GIVEN_BYTES = 4 * 2**20
"""Of a file that a person names on a command line."""
PIPE_SECONDS = 30.0
"""How long a pipe on a command line may stay silent."""
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def is_gone(error: OSError) -> bool:
    """Tell whether an error says that no such file is there; others, such as EIO and EACCES, say nothing about it."""
    return error.errno in _GONE


def may_exist(path: Path) -> bool:
    """Tell whether something is there; yes if an error of reading hides that."""
    try:
        path.stat()
    except OSError as error:
        return not is_gone(error)
    return True


def describe(error: OSError) -> str:
    """Return what the system refused, with the error's name: ``Input/output error (EIO)``."""
    if error.errno is None:
        return str(error) or type(error).__name__
    name = errno.errorcode.get(error.errno, str(error.errno))
    return f"{error.strerror or os.strerror(error.errno)} ({name})"


def opened(path: Path, where: str) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: it cannot be opened.
        ContractError: it is no regular file; the message begins with ``where``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a device without a driver
            raise ContractError(f"{where}: not a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ContractError(f"{where}: not a regular file")
    return open(descriptor, "rb")  # noqa: PTH123 - opened already


def read(path: Path, where: str, most: int = MOST_BYTES) -> bytes:
    """Return a regular file's content.

    Raises:
        OSError: it cannot be opened or read.
        ContractError: it is no regular file, or has more than ``most`` bytes; the message begins with ``where``.
    """
    with opened(path, where) as file:
        # Python takes memory for all that it is asked to read, so it is asked for what there is.
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, most) + 1)
        if size < len(content) <= most:  # it grows, or is one of /proc, which say no size
            content += file.read(most + 1 - len(content))
    if len(content) > most:
        raise ContractError(f"{where}: more than {most} bytes")
    return content


def read_end(path: Path, most: int) -> bytes:
    """Return the last ``most`` bytes of a regular file.

    Raises:
        OSError: it cannot be opened or read.
        ContractError: it is no regular file.
    """
    with opened(path, path.name) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most))
        return file.read(most)


def read_given(path: Path, where: str, most: int = MOST_GIVEN_BYTES, patience: float = PIPE_SECONDS) -> bytes:
    """Return the content of a file that a person named: a regular one, or a pipe, as of a shell's ``<(...)``.

    A pipe is read to its end. It may be silent for ``patience`` seconds.

    Raises:
        OSError: it cannot be opened or read.
        ContractError: it is something else, has more than ``most`` bytes, or is a pipe without a writer; the message
            begins with ``where``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise ContractError(f"{where}: found a socket or a device, expected a regular file or a pipe") from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        os.close(descriptor)
        found = "a folder" if stat.S_ISDIR(mode) else "a device"
        raise ContractError(f"{where}: found {found}, expected a regular file or a pipe")
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - opened already
        content = bytearray()
        silent_until = time.monotonic() + patience
        while len(content) <= most:
            chunk = file.read(min(2**20, most + 1 - len(content)))
            if chunk is None:
                left = silent_until - time.monotonic()
                if left <= 0:
                    raise ContractError(f"{where}: found a pipe that stayed silent for {patience:g} s")
                select.select([file], [], [], left)
                continue
            if not chunk:
                break
            content += chunk
            silent_until = time.monotonic() + patience
    if stat.S_ISFIFO(mode) and not content:
        raise ContractError(f"{where}: found a pipe without content, or that no program writes to")
    if len(content) > most:
        raise ContractError(f"{where}: more than {most} bytes")
    return bytes(content)

"""Folders for temporary files, which go with their owner; those of owners that were killed are swept by later ones.

An owner holds a lock on its folder, which goes with it, however it ends.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from clipfarm_contract import locks, tree

PREFIX = f"clipfarm-scratch-{hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]}-"
"""With the machine's name: several may have the place for temporary files together, and locks that each keeps to
itself."""
YOUNG_SECONDS = 60.0
"""A folder is made a moment before it is locked."""


class Scratch:
    """A folder of this process, in the place for temporary files."""

    def __init__(self) -> None:
        """Make it.

        Raises:
            OSError: it cannot be made.
        """
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # without locks no sweep can happen either
            locks.take(self._descriptor, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cleanup()

    def cleanup(self) -> None:
        """Remove it, whatever has been put there."""
        tree.remove(self.path)
        os.close(self._descriptor)


def sweep() -> None:
    """Remove the folders of this user's processes that were killed."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                with contextlib.suppress(OSError):
                    _remove_if_dead(Path(entry.path))


def _remove_if_dead(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        info = os.fstat(descriptor)
        ours = stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid()
        if ours and time.time() - info.st_ctime > YOUNG_SECONDS and locks.take(descriptor, folder):
            tree.remove(folder)
    finally:
        os.close(descriptor)

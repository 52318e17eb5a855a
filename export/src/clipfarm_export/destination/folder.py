"""A folder of this machine."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clipfarm_contract import locks
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.tree import remove
from clipfarm_export.destination.base import STATE
from clipfarm_export.errors import ExportError


class Folder:
    """A folder of this machine."""

    of_place: tuple[str, ...] = ()

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def names(self) -> list[str]:
        """Return the names of all files there, in order."""
        found = (Path(place, name) for place, _, names in os.walk(self.root) for name in names)
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def read(self, name: str) -> bytes | None:
        """Return a small file's content; None if it is not there."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file by rename."""
        write_atomically(self.root / name, content)

    def publish(self, made: Path, name: str) -> None:
        """Give a file its name."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made.replace(path)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Return a new folder on the same file system, so that a file can be renamed to its place."""
        place = self.root / STATE / "making"
        remove(place)  # of an export that was killed
        place.mkdir(parents=True)
        try:
            yield place
        finally:
            remove(place)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Return the file."""
        yield self.root / name

    def size(self, names: Iterable[str]) -> int:
        """Return the bytes of files."""
        return sum((self.root / name).stat().st_size for name in names)

    def remove_state(self) -> None:
        """Remove the folder ``STATE``."""
        remove(self.root / STATE)

    def clear(self, first: str, last: str) -> None:
        """Remove every file: one of them first; ``STATE`` and one more last. A link or the place of a mount stays."""
        (self.root / first).unlink(missing_ok=True)
        for path in sorted(self.root.iterdir(), key=lambda path: (path.name == last, path.name == STATE)):
            remove(path)
        if not (self.root.is_symlink() or self.root.is_mount()):
            remove(self.root)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other exports out; on a file system without locks, none is kept out.

        Raises:
            ExportError: another one is at work here.
        """
        path = self.root / STATE / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = locks.opened(path)
        try:
            with contextlib.suppress(OSError):
                if not locks.take(descriptor, path):
                    raise ExportError(f"{self.root}: in use by another export; wait for it, or use another folder")
            yield
        finally:
            os.close(descriptor)

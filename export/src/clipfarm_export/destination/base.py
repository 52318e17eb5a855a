"""What a place is that an export goes to.

A file appears under its name whole: in a folder by rename; object stores show an upload when it is complete.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

STATE = ".clipfarm-export"
"""Folder of what an unfinished export needs to go on; it goes when the export is complete."""


class Destination(Protocol):
    """A place for files with names such as ``data/A1-00000-of-00007.parquet``."""

    url: str

    @property
    def of_place(self) -> tuple[str, ...]:
        """Files that the place has of itself: with these alone it is empty."""

    def names(self) -> list[str]:
        """Return the names of all files there, in order."""

    def read(self, name: str) -> bytes | None:
        """Return a small file's content; None if it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a small file."""

    def publish(self, made: Path, name: str) -> None:
        """Bring a file that was made in :meth:`staging` to its place."""

    def staging(self) -> contextlib.AbstractContextManager[Path]:
        """Return a new folder for files that are being made."""

    def local(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """Return a file of the export as one of this machine, for reading."""

    def size(self, names: Iterable[str]) -> int:
        """Return the bytes of files."""

    def remove_state(self) -> None:
        """Remove the folder ``STATE``."""

    def clear(self, first: str, last: str) -> None:
        """Remove every file: one of them first; ``STATE`` and one more last, by which an export is known."""

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Keep other exports out, if that is possible."""

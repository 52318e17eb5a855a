"""A folder of any store that fsspec knows."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec

from clipfarm_export.destination.base import STATE
from clipfarm_export.errors import ExportError

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci", "hf"}
"""Stores without folders. Asked for one, their libraries would create the bucket, which is for its owner to do."""
HUBS = {"hf"}
OF_A_HUB = ("README.md", ".gitattributes")
"""Files that a hub puts into a new repository: the card, which the export's replaces, and how git stores large files,
which stays."""


class Store:
    """A folder of a store that fsspec knows, such as ``s3://bucket/folder`` or ``hf://datasets/NAME``.

    Whatever a store refuses is an OSError, in one line.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise ExportError(f"{url}: {' '.join(str(error).split())}") from None

    @property
    def of_place(self) -> tuple[str, ...]:
        """Files that the place has of itself: with these alone it is empty."""
        return OF_A_HUB if self._kinds() & HUBS else ()

    def names(self) -> list[str]:
        """Return the names of all files there, in order."""
        self._fs.invalidate_cache()
        with self._reported():
            try:
                found = self._fs.find(self._root)
            except FileNotFoundError:
                return []
        begin = self._root.strip("/") + "/"
        return sorted(str(path).lstrip("/").removeprefix(begin) for path in found)

    def read(self, name: str) -> bytes | None:
        """Return a small file's content; None if it is not there."""
        with self._reported():
            try:
                content: bytes = self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a small file."""
        with self._reported():
            self._make_parent(name)
            self._fs.pipe_file(self._path(name), content)

    def publish(self, made: Path, name: str) -> None:
        """Upload a file."""
        with self._reported():
            self._make_parent(name)
            self._fs.put_file(str(made), self._path(name))

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Return a new folder of this machine."""
        with tempfile.TemporaryDirectory(prefix="clipfarm-export-") as place:
            yield Path(place)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Download a file, for as long as it is read."""
        with tempfile.TemporaryDirectory(prefix="clipfarm-export-") as place:
            path = Path(place) / "file"
            with self._reported():
                self._fs.get_file(self._path(name), str(path))
            yield path

    def size(self, names: Iterable[str]) -> int:
        """Return the bytes of files."""
        with self._reported():
            return sum(self._fs.size(self._path(name)) or 0 for name in names)

    def remove_state(self) -> None:
        """Remove the folder ``STATE``."""
        with self._reported(), contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._path(STATE), recursive=True)

    def clear(self, first: str, last: str) -> None:
        """Remove every file: one of them first; ``STATE`` and one more last."""
        names = [name for name in self.names() if name not in self.of_place]
        with self._reported():
            for name in sorted(names, key=lambda name: (name == last, name.startswith(f"{STATE}/"), name != first)):
                self._fs.rm_file(self._path(name))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Do nothing: stores have no locks."""
        yield

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _make_parent(self, name: str) -> None:
        if not self._kinds() & OBJECT_STORES:
            self._fs.makedirs(self._fs._parent(self._path(name)), exist_ok=True)

    def _kinds(self) -> set[str]:
        return {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each store's library has errors of its own
            what = " ".join(str(error).split()) or type(error).__name__
            raise OSError(f"{self.url}: {what}; the same command continues") from error

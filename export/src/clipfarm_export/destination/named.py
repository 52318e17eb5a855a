"""From what a user names to the place: a folder of this machine, or of a store."""

from pathlib import Path

from clipfarm_export.destination.base import Destination
from clipfarm_export.destination.folder import Folder
from clipfarm_export.destination.store import Store
from clipfarm_export.errors import ExportError


def destination(given: str) -> Destination:
    """Return the destination that a user named.

    Raises:
        ExportError: it is a file, it names no place, or no library is installed for its kind of store.
    """
    kind, separator, rest = given.partition("://")
    if separator and not rest.strip("/"):  # of an unset variable
        raise ExportError(f"DEST: found {given}, expected an address such as s3://bucket/folder")
    if separator and kind not in ("file", "local"):
        return Store(given)
    path = Path(rest if separator else given).absolute()
    if path.exists() and not path.is_dir():
        raise ExportError(f"{path}: found a file, expected a folder")
    return Folder(path)

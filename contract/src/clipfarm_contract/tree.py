"""Folders that another program has filled: with anything, to any depth."""

import contextlib
import os
import secrets
import stat
from collections.abc import Collection
from pathlib import Path

from clipfarm_contract.text import printable

MOST_DEPTH = 32
"""Folders inside each other: more of them are a mistake."""
MOST_BYTES = 1024
"""Length of a path inside the folder. With that of the folder itself a program can name 4095 bytes (PATH_MAX)."""
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnfitError(ValueError):
    """A folder holds what no clip may hold; the message names it."""


def files(folder: Path, *, but: Collection[str] = (), links: bool = False) -> list[str]:
    """Return the paths of all files below a folder, relative to it, in order.

    Args:
        folder: no link, unless those are let through.
        but: names directly in the folder that are left out.
        links: let links through, which a copy may be made of: hard ones as files, symbolic ones as names that are not
            followed.

    Raises:
        UnfitError: something is no regular file and no folder, is also somewhere else, or has a name that is not UTF-8.
        OSError: something cannot be read.
    """
    if not stat.S_ISDIR(folder.stat(follow_symlinks=links).st_mode):
        raise UnfitError("its folder was replaced by something that is no folder")
    found: list[str] = []
    names: dict[int, list[str]] = {}
    missing: dict[int, int] = {}
    todo = [""]
    while todo:
        prefix = todo.pop()
        with os.scandir(folder / prefix) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            if not prefix and entry.name in but:
                continue
            name, info = prefix + entry.name, entry.stat(follow_symlinks=False)
            _check(name, info, links=links)
            if stat.S_ISDIR(info.st_mode):
                todo.append(f"{name}/")
                continue
            found.append(name)
            if info.st_nlink > 1 and not links:
                names.setdefault(info.st_ino, []).append(name)
                missing[info.st_ino] = info.st_nlink - len(names[info.st_ino])
    for inode, left in missing.items():
        if left:
            raise UnfitError(f"{names[inode][0]}: a hard link to a file outside of the clip, expected a copy")
    return sorted(found)


def _check(name: str, info: os.stat_result, *, links: bool) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UnfitError(f"{printable(name)}: its name is not UTF-8") from None
    kind = _KINDS.get(stat.S_IFMT(info.st_mode))
    if kind and not (links and stat.S_ISLNK(info.st_mode)):
        raise UnfitError(f"{name}: {kind}, expected a regular file or a folder")
    if len(name.encode()) > MOST_BYTES:
        raise UnfitError(f"{name[:60]}...: a path of more than {MOST_BYTES} bytes")
    if name.count("/") > MOST_DEPTH:
        raise UnfitError(f"{name[:60]}...: more than {MOST_DEPTH} folders inside each other")


def remove(folder: Path) -> None:
    """Remove a folder with all that it holds, to any depth; a link itself, and not what it leads to.

    What cannot be removed stays.
    """
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(folder.lstat().st_mode):
            folder.unlink()
            return
    token, todo = secrets.token_hex(4), [folder]
    for number, place in enumerate(todo):
        with contextlib.suppress(OSError):
            _empty(place, folder, f".{token}-{number}", todo)
    for place in reversed(todo):
        with contextlib.suppress(OSError):
            place.rmdir()


def _empty(place: Path, top: Path, unique: str, todo: list[Path]) -> None:
    """Remove a folder's files, and move its folders up to the top: so no path gets longer than the system takes."""
    _open_up(place)
    with os.scandir(place) as entries:
        listed = list(entries)
    for number, entry in enumerate(listed):
        with contextlib.suppress(OSError):
            path = Path(entry.path)
            if not entry.is_dir(follow_symlinks=False):
                path.unlink()
                continue
            _open_up(path)  # a folder that may not be written cannot be moved
            todo.append(path if place == top else path.rename(top / f"{unique}-{number}"))


def _open_up(folder: Path) -> None:
    # Only its owner may; where the folder is another user's, such as on a volume with an fsGroup, it may be open as
    # it is.
    with contextlib.suppress(OSError):
        folder.chmod(0o700)

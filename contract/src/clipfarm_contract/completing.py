"""How a folder becomes a complete clip, and how one goes.

A clip is written into ``.clip_00042.<attempt>/``, gets its ``clip.json`` last, and is renamed to ``clip_00042/``.
So a clip is there whole or not at all, whatever was killed and whenever.
"""

import errno
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from clipfarm_contract import tree
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.clip import ClipManifest, ClipState, FileEntry, inspect
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.fields import dump
from clipfarm_contract.layout import Clip

_RENAME_TRIES = 5
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems answer that bring files to the disk, and no folders."""
_ASIDE = ".discarded-"


def complete(
    attempt: Path,
    final: Clip,
    recipe: ClipRecipe,
    checks: Mapping[str, Any],
    renderer: tuple[str, ...] | None = None,
) -> ClipManifest:
    """Turn a folder full of files into a complete clip: hash, write ``clip.json``, sync, rename.

    A damaged folder in the clip's place is replaced. Where another writer has completed the same clip in the
    meantime, its folder stays and this one is dropped: both hold the same bytes.

    Raises:
        UnfitError: the folder holds something else than files of its own.
        FileNotFoundError: the folder holds no file, so it is no clip.
        FileExistsError: a complete clip of another recipe lies in the clip's place, or one that cannot be read.
    """
    files = {name: FileEntry.of(attempt / name) for name in tree.files(attempt)}
    if not files:
        raise FileNotFoundError(errno.ENOENT, "the renderer wrote no file", str(attempt))
    manifest = ClipManifest(recipe, renderer, files, checks)
    written = Clip(attempt)
    write_atomically(written.manifest, dump(manifest.to_json()))  # for its error, which names the file
    _sync(attempt, [*files, written.manifest.name])
    for _ in range(_RENAME_TRIES):
        try:
            attempt.rename(final.folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            found = inspect(final, recipe, renderer)
            if found.state is ClipState.COMPLETE:
                tree.remove(attempt)
                return manifest
            if found.state is ClipState.FOREIGN:
                raise FileExistsError(f"{final.folder}: {found.reason}") from None
            if found.state is ClipState.UNREADABLE:
                raise FileExistsError(f"{final.folder}: {found.reason}; left as it is") from None
            discard(final.folder)
        else:
            _sync_one(final.folder.parent)
            return manifest
    raise FileExistsError(f"{final.folder}: another writer keeps putting a damaged clip here")


def discard(folder: Path) -> None:
    """Remove a folder so that no reader ever sees half of it under its name.

    A file in a folder's place goes, too; what is not there is no error.
    """
    if _ASIDE not in folder.name:
        name = folder.name if folder.name.startswith(".") else f".{folder.name}"
        aside = folder.with_name(f"{name}{_ASIDE}{secrets.token_hex(4)}")
        try:
            folder.rename(aside)
        except FileNotFoundError:
            return
        folder = aside
    tree.remove(folder)


def _sync(folder: Path, files: Sequence[str]) -> None:
    """Bring a folder's files to the disk, so that a clip that is there after a power cut is whole."""
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    # At once: a file system writes its journal once for all that ask for it together.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_sync_one, [folder / name for name in (*files, *sorted(folders - {"."}))]))
    _sync_one(folder)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC or not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(descriptor)

"""``clip.json``, and how a folder becomes a complete clip.

A clip is written into ``.clip_00042.<attempt>/``, gets its ``clip.json`` last, and is renamed to ``clip_00042/``.
So a clip is there whole or not at all, whatever was killed and whenever. ``clip.json`` holds nothing of the moment:
no time, no host. The same recipe gives the same bytes of every file, ``clip.json`` included.
"""

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

from clipfarm_contract import regular, tree
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.fields import ContractError, Fields, dump, load, parse_text, show
from clipfarm_contract.layout import Clip, clip_index

VERSION = 1
FEATURES = "feature_maps"
"""The one folder that may be added to a complete clip."""
_SHA256 = re.compile("[0-9a-f]{64}")
_RENAME_TRIES = 5
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems answer that bring files to the disk, and no folders."""
_ASIDE = ".discarded-"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as it was when the clip was completed."""

    sha256: str
    size: int
    """bytes"""

    @classmethod
    def of(cls, path: Path) -> "FileEntry":
        """Hash a file.

        Raises:
            OSError: it cannot be read.
            ContractError: it is no regular file.
        """
        with regular.opened(path, path.name) as file:
            digest = hashlib.file_digest(file, "sha256")
            return cls(digest.hexdigest(), os.fstat(file.fileno()).st_size)

    @classmethod
    def parse(cls, value: object, where: str) -> "FileEntry":
        """Read ``{"sha256": ..., "size": ...}``."""
        fields = Fields(value, where)
        entry = cls(fields.take("sha256", str), fields.take("size", int))
        fields.done()
        if not _SHA256.fullmatch(entry.sha256):
            raise ContractError(f"{where}.sha256: found {show(entry.sha256)}, expected 64 hexadecimal digits")
        if entry.size < 0:
            raise ContractError(f"{where}.size: found {show(entry.size)}, expected 0 or more")
        return entry

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"sha256": self.sha256, "size": self.size}


@dataclass(frozen=True, slots=True)
class ClipManifest:
    """The content of ``clip.json``."""

    recipe: ClipRecipe
    renderer: tuple[str, ...] | None
    """The command of the user's own renderer; None for the built-in one."""
    files: Mapping[str, FileEntry]
    """Every file of the clip but ``clip.json`` itself, by its path inside the folder."""
    checks: Mapping[str, Any]
    """What was checked before the clip counted, with the values found."""

    @classmethod
    def read(cls, path: Path) -> "ClipManifest":
        """Read a ``clip.json``.

        Raises:
            OSError: it cannot be read.
            ContractError: it is not a clip.json of this version.
        """
        where = path.name
        fields = Fields(load(regular.read(path, where), where), where)
        version = fields.take("version", int)
        if version != VERSION:
            raise ContractError(f"{where}.version: found {version}, expected {VERSION}")
        recipe = fields.take_object("recipe", ClipRecipe.parse)
        command = fields.take_list("renderer", parse_text) if fields.has("renderer") else ()
        files = fields.take("files", dict)
        checks = fields.take("checks", dict)
        fields.done()
        return cls(
            recipe=recipe,
            renderer=command or None,
            files={_inside(name, where): FileEntry.parse(files[name], f"{where}.files.{name}") for name in files},
            checks=checks,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        document = {
            "version": VERSION,
            "recipe": self.recipe.to_json(),
            "files": {name: entry.to_json() for name, entry in self.files.items()},
            "checks": dict(self.checks),
        }
        return document | ({"renderer": list(self.renderer)} if self.renderer else {})

    def difference(self, recipe: ClipRecipe, renderer: tuple[str, ...] | None = None) -> str | None:
        """Return how the clip was made if that is not the wanted way, as ``seed 1 instead of 2``; None if it is."""
        difference = recipe.difference(self.recipe)
        if difference is None and self.renderer != renderer:
            difference = f"renderer {_command(self.renderer)} instead of {_command(renderer)}"
        return difference


class ClipState(Enum):
    """How a clip's folder stands to the recipe that is wanted."""

    ABSENT = "absent"
    COMPLETE = "complete"
    DAMAGED = "damaged"
    """A file is missing or has another size, or clip.json is not one: to be made again."""
    UNREADABLE = "unreadable"
    """An error of reading, which may pass: not known to be complete or damaged, and left as it is."""
    FOREIGN = "foreign"
    """Complete, but made from another recipe: not ours to overwrite."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A state with its reason."""

    state: ClipState
    reason: str = ""


def inspect(clip: Clip, recipe: ClipRecipe, renderer: tuple[str, ...] | None = None) -> Inspection:
    """Tell whether a clip is complete, by its recipe and the sizes of its files.

    Hashes are not computed: that would read a whole run of a hundred gigabytes at each start. :func:`damage` does.
    """
    name = ""
    try:
        try:
            clip.folder.stat()
        except OSError as error:
            if regular.is_gone(error):
                return Inspection(ClipState.ABSENT)
            raise
        name = f"{clip.manifest.name}: "
        manifest = _read(clip)
        if isinstance(manifest, str):
            return Inspection(ClipState.DAMAGED, manifest)
        difference = manifest.difference(recipe, renderer)
        if difference:
            return Inspection(ClipState.FOREIGN, f"made with {difference}")
        for file, entry in sorted(manifest.files.items()):
            name = f"{file}: "
            if problem := _size_problem(clip.folder / file, entry):
                return Inspection(ClipState.DAMAGED, f"{file}: {problem}")
    except OSError as error:
        return Inspection(ClipState.UNREADABLE, f"{name}{regular.describe(error)}")
    return Inspection(ClipState.COMPLETE)


@dataclass(slots=True)
class Findings:
    """What a close look at a clip has found, a line each; nothing where it is whole."""

    wrong: list[str] = field(default_factory=list)
    """What was read, and is wrong."""
    unread: list[str] = field(default_factory=list)
    """What could not be read, so that nothing is known of it."""


def examine(clip: Clip) -> Findings:
    """Look at a clip, every hash computed.

    Links are nothing wrong: a copy of the run may be made of them, and hashes tell whether they lead to its bytes.
    """
    try:
        manifest = _read(clip)
    except OSError as error:
        return Findings(unread=[f"{clip.manifest.name}: {regular.describe(error)}"])
    if isinstance(manifest, str):
        return Findings(wrong=[manifest])
    found = Findings()
    if clip_index(clip.folder.name) != manifest.recipe.index:
        found.wrong.append(f"clip.json is that of clip {manifest.recipe.index}")
    unfit, others = [], []
    try:
        names = set(tree.files(clip.folder, but=(FEATURES, clip.manifest.name), links=True))
        folders = {str(parent) for name in manifest.files for parent in PurePosixPath(name).parents}
        others = sorted(names - manifest.files.keys() - folders)
    except tree.UnfitError as error:
        unfit = [str(error)]
    except OSError as error:
        found.unread.append(f"{error.filename}: {regular.describe(error)}")
    found.wrong += unfit
    for name, entry in sorted(manifest.files.items()):
        path = clip.folder / name
        try:
            problem = _size_problem(path, entry) or _hash_problem(path, entry)
        except OSError as error:
            found.unread.append(f"{name}: {regular.describe(error)}")
        else:
            found.wrong += [f"{name}: {problem}"] if problem else []
    found.wrong += [f"{name}: not part of the clip" for name in others]
    return found


def damage(clip: Clip) -> list[str]:
    """Return all that keeps a clip from being known as whole; see :func:`examine`."""
    found = examine(clip)
    return [*found.wrong, *found.unread]


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


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file by rename, so that a reader sees the old or the new content and never a part.

    Raises:
        OSError: it cannot be written; the error names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        temporary.replace(path)
    except OSError as error:  # of a disk that is full it says no name
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def _read(clip: Clip) -> ClipManifest | str:
    """Return a clip's manifest, or what is wrong with it.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return ClipManifest.read(clip.manifest)
    except ContractError as error:
        return str(error)
    except OSError as error:
        if not regular.is_gone(error):
            raise
        return f"{clip.manifest.name}: {'missing' if error.errno == errno.ENOENT else error.strerror}"


def _size_problem(path: Path, entry: FileEntry) -> str | None:
    try:
        info = path.stat()
    except OSError as error:
        if not regular.is_gone(error):
            raise
        return "missing"
    if not stat.S_ISREG(info.st_mode):
        return "not a regular file"
    return None if info.st_size == entry.size else f"{info.st_size} bytes, expected {entry.size}"


def _hash_problem(path: Path, entry: FileEntry) -> str | None:
    try:
        found = FileEntry.of(path).sha256
    except ContractError:
        return "not a regular file"
    return None if found == entry.sha256 else f"sha256 {found[:12]}..., expected {entry.sha256[:12]}..."


def _inside(name: str, where: str) -> str:
    """Return the path of a file inside a clip's folder; refuse one that leads elsewhere or that no file can have."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\0" in name or parts[0] in (FEATURES, "clip.json"):
        raise ContractError(f"{where}.files: found {show(name)}, expected the path of a file inside the clip's folder")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ContractError(f"{where}.files: found {show(name)}, expected a name in UTF-8") from None
    return name


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


def _command(renderer: tuple[str, ...] | None) -> str:
    return " ".join(renderer) if renderer else "of clipfarm"

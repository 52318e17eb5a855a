"""``clip.json``, and how a clip's folder stands to the recipe that is wanted.

``clip.json`` holds nothing of the moment: no time, no host. The same recipe gives the same bytes of every file,
``clip.json`` included.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from clipfarm_contract import regular
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.fields import ContractError, Fields, load, parse_text, show
from clipfarm_contract.layout import Clip

VERSION = 1
FEATURES = "feature_maps"
"""The one folder that may be added to a complete clip."""
_SHA256 = re.compile("[0-9a-f]{64}")


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


OF_A_VIDEO = "it is of a video (video.json), and was not rendered"


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
        manifest = read_manifest(clip)
        if isinstance(manifest, str):
            if regular.may_exist(clip.excerpt):
                return Inspection(ClipState.FOREIGN, OF_A_VIDEO)
            return Inspection(ClipState.DAMAGED, manifest)
        difference = manifest.difference(recipe, renderer)
        if difference:
            return Inspection(ClipState.FOREIGN, f"made with {difference}")
        for file, entry in sorted(manifest.files.items()):
            name = f"{file}: "
            if problem := size_problem(clip.folder / file, entry):
                return Inspection(ClipState.DAMAGED, f"{file}: {problem}")
    except OSError as error:
        return Inspection(ClipState.UNREADABLE, f"{name}{regular.describe(error)}")
    return Inspection(ClipState.COMPLETE)


def read_manifest(clip: Clip) -> ClipManifest | str:
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


def size_problem(path: Path, entry: FileEntry) -> str | None:
    """Return what is wrong with a file's size; None if nothing is.

    Raises:
        OSError: it cannot be read.
    """
    try:
        info = path.stat()
    except OSError as error:
        if not regular.is_gone(error):
            raise
        return "missing"
    if not stat.S_ISREG(info.st_mode):
        return "not a regular file"
    return None if info.st_size == entry.size else f"{info.st_size} bytes, expected {entry.size}"


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


def _command(renderer: tuple[str, ...] | None) -> str:
    return " ".join(renderer) if renderer else "of clipfarm"

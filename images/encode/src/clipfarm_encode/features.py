"""A clip's features on the disk: the array, and beside it a sidecar that says how it was made.

The sidecar is there before the array, and an array that is replaced goes before its sidecar does. So whoever finds
an array finds its own sidecar with it, whenever the encoder was killed.
"""

import errno
import hashlib
import io
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipfarm_contract.clip import write_atomically
from clipfarm_contract.fields import ContractError, dump, load
from clipfarm_contract.layout import Clip
from clipfarm_encode.claims import NO_LINKS

Features = NDArray[np.floating[Any]]
"""(tokens, width), float16 or float32."""

# What has to agree before features count as the ones that are wanted. The rest of a sidecar follows from these, or,
# as the precision of the computation, is a property of the device: no reason to encode again.
_IDENTITY = (("model",), ("weights", "sha256"), ("weights", "key"), ("dtype",), ("preprocessing", "crop"))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How features are made: all of a sidecar that does not depend on the clip."""

    model: str
    weights: Mapping[str, Any]
    dtype: str
    """``float16`` or ``float32``, of the saved array."""
    preprocessing: Mapping[str, Any]
    compute: str
    """Precision of the computation."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "model": self.model,
            "weights": dict(self.weights),
            "dtype": self.dtype,
            "preprocessing": dict(self.preprocessing),
            "compute": self.compute,
            "clipfarm": version("clipfarm-encode"),
        }


class State(Enum):
    """How the features in a clip's folder stand to the recipe."""

    ABSENT = "absent"
    """None, or an array that was cut short: to be made."""
    DONE = "done"
    OTHER = "other"
    """Whole, but made otherwise or by somebody else: replaced only where the user says so."""


def inspect(clip: Clip, recipe: Recipe) -> tuple[State, str]:
    """Tell whether a clip has its features, and if they were made otherwise, in what they differ."""
    path = clip.features(recipe.model)
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)  # reads the header and holds it against the file's size
    except (OSError, ValueError, EOFError):
        return State.ABSENT, ""
    try:
        sidecar = load(clip.features_sidecar(recipe.model).read_bytes(), "sidecar")
    except FileNotFoundError:
        return State.OTHER, f"{path.name} has no {recipe.model}.json that says how it was made"
    except (OSError, ContractError) as error:
        return State.OTHER, f"{recipe.model}.json is unreadable ({error})"
    wanted = recipe.to_json()
    for field in _IDENTITY:
        found, expected = _at(sidecar, field), _at(wanted, field)
        if found != expected:
            return State.OTHER, f"made with {'.'.join(field)} {_short(found)}, wanted {_short(expected)}"
    if path.stat().st_nlink > 1:  # its writer was killed between giving it this name and taking the other away
        remove_leftovers(path)
    return State.DONE, ""


def save(features: Features, frames: int, clip: Clip, recipe: Recipe, *, again: bool = False) -> bool:
    """Write a clip's features with their sidecar, unless another encoder was faster.

    The array gets its name by a hard link, which fails where the name is taken: of several writers exactly one
    succeeds. Arrays of one recipe made on different devices may differ in their last bits, and so in the hash that
    their sidecars hold; whoever wrote second therefore puts the sidecar right.

    Args:
        again: replace features that are as wanted, too.

    Returns:
        False where the features were there already, or came from another writer in the meantime.

    Raises:
        OSError: the disk is full, the clip's folder is gone, ...; what was there before is there still.
    """
    path, sidecar = clip.features(recipe.model), clip.features_sidecar(recipe.model)
    header = _header(features)
    values = np.ascontiguousarray(features).view(np.uint8).data  # no copy: a GPU makes a gigabyte of them a second
    digest = hashlib.sha256(header)
    digest.update(values)
    document = dump(_document(recipe, features.shape, frames, digest.hexdigest()))
    path.parent.mkdir(exist_ok=True)  # and no more than that: a clip that is gone must not come back as an empty folder
    while True:
        if not again and inspect(clip, recipe)[0] is State.DONE:
            return False
        before = _inode(path)
        for each in (path, sidecar):
            remove_leftovers(each)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with temporary.open("xb") as file:
                file.write(header)
                file.write(values)
            if before and before == _inode(path):
                path.unlink(missing_ok=True)
            write_atomically(sidecar, document)
            place(temporary, path)
        except FileExistsError:
            _put_right(clip, recipe, frames)
            return False
        except FileNotFoundError:
            if not path.parent.exists():
                raise
            continue  # another writer has taken this one for dead, and its file for a leftover
        finally:
            temporary.unlink(missing_ok=True)
        if sidecar.read_text() != document:
            write_atomically(sidecar, document)
        return True


def place(temporary: Path, path: Path) -> None:
    """Give a file its final name.

    Raises:
        FileExistsError: another writer has placed its own.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # A file system without hard links: good enough for one encoder, and there can be no claims for more.
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.rename(path)


def remove_leftovers(path: Path) -> None:
    """Remove what a killed writer of this file left beside it: a temporary file that nobody will rename."""
    for leftover in path.parent.glob(f".{path.name}.????????"):
        leftover.unlink(missing_ok=True)


def _header(features: Features) -> bytes:
    """Return what ``np.save`` writes before the values."""
    header = io.BytesIO()
    described = np.lib.format.header_data_from_array_1_0(features)  # type: ignore[no-untyped-call]
    np.lib.format.write_array_header_1_0(header, described)  # type: ignore[no-untyped-call]
    return header.getvalue()


def _document(recipe: Recipe, shape: tuple[int, ...], frames: int, sha256: str) -> dict[str, Any]:
    return recipe.to_json() | {"shape": list(shape), "frames": frames, "sha256": sha256}


def _put_right(clip: Clip, recipe: Recipe, frames: int) -> None:
    """Write the sidecar that belongs to the array that is there, whoever wrote it."""
    path = clip.features(recipe.model)
    try:
        data = path.read_bytes()
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except FileNotFoundError:
        return  # it goes away as this is looked at: whoever took it writes again
    document = _document(recipe, shape, frames, hashlib.sha256(data).hexdigest())
    write_atomically(clip.features_sidecar(recipe.model), dump(document))


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _at(document: object, field: tuple[str, ...]) -> object:
    for name in field:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 or not text.isalnum() else f"{text[:12]}..."

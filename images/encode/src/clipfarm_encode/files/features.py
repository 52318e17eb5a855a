"""Writing a clip's features, whole and once; what lies on the disk is told in :mod:`clipfarm_contract.features`."""

import errno
import hashlib
import io
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from clipfarm_contract import features, regular
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.clip import FileEntry
from clipfarm_contract.features import State
from clipfarm_contract.fields import ContractError, dump
from clipfarm_contract.layout import Clip
from clipfarm_encode.files.claims import NO_LINKS
from clipfarm_encode.files.recipe import Encoded, Recipe

Features = NDArray[np.floating[Any]]
"""(tokens, width), float16 or float32."""


def all_finite(features: Features) -> bool:
    """Tell whether no value is infinite or NaN.

    Of a float's bits as an integer, those with the largest exponent are the largest, with the sign or without it. So
    two maxima say it, in a tenth of the time of ``numpy.isfinite``, which has to convert float16.
    """
    bits = features.dtype.itemsize * 8
    infinity = np.asarray(np.inf, features.dtype).view(f"u{bits // 8}").item()
    positive, negative = features.view(f"i{bits // 8}").max(), features.view(f"u{bits // 8}").max()
    return bool(positive < infinity and negative < infinity + 2 ** (bits - 1))


def inspect(clip: Clip, recipe: Recipe, encoded: Clip | None = None) -> tuple[State, str]:
    """Tell whether a clip has its features, and if not those, why (:func:`clipfarm_contract.features.inspect`)."""
    state, reason = features.inspect(clip, recipe.wanted, encoded)
    path = recipe.wanted.path(clip)
    if state is State.DONE and _links(path) > 1:
        remove_leftovers(path)  # its writer was killed between giving it this name and taking the other away
    return state, reason


def save(
    arrays: Sequence[Features],
    encoded: Encoded,
    clip: Clip,
    recipe: Recipe,
    *,
    source: Clip | None = None,
    again: bool = False,
) -> bool:
    """Write a clip's features with their sidecar, unless another encoder was faster.

    The file gets its name by a hard link, which fails where the name is taken: of several writers exactly one
    succeeds. Arrays of one recipe made on different devices may differ in their last bits, and so in the hash that
    their sidecars hold; whoever wrote second therefore puts the sidecar right.

    Args:
        arrays: the features, an array for each layer, all of one shape.
        encoded: what they were made of.
        clip: where they go.
        recipe: how they were made.
        source: the clip that was encoded, if its folder is another.
        again: replace features that are as wanted, too.

    Returns:
        False where the features were there already, or came from another writer in the meantime.

    Raises:
        OSError: the disk is full, the clip's folder is gone, ...; what was there before is there still.
    """
    wanted = recipe.wanted
    path, sidecar, other = wanted.path(clip), wanted.sidecar(clip), wanted.other_path(clip)
    content = _content(arrays, recipe.extraction.keys)
    digest = hashlib.sha256()
    for part in content:
        digest.update(part)
    document = dump(_document(recipe, arrays[0].shape, encoded, digest.hexdigest()))
    path.parent.mkdir(exist_ok=True)  # and no more than that: a clip that is gone must not come back as an empty folder
    while True:
        if not again:
            state, reason = inspect(clip, recipe, source)
            if state is State.DONE:
                return False
            if state is State.UNREADABLE:
                raise OSError(errno.EIO, reason, str(path.parent))
        before = _inode(path)
        for each in (path, sidecar):
            remove_leftovers(each)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with temporary.open("xb") as file:
                file.writelines(content)
            if before and before == _inode(path):
                path.unlink(missing_ok=True)
            other.unlink(missing_ok=True)  # of the set as it was, with one layer instead of several or the reverse
            write_atomically(sidecar, document)
            place(temporary, path)
        except FileExistsError:
            _put_right(clip, recipe, encoded)
            return False
        except FileNotFoundError:
            if not path.parent.exists():
                raise
            continue  # another writer has taken this one for dead, and its file for a leftover
        finally:
            temporary.unlink(missing_ok=True)
        if not _holds(sidecar, document):
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
    """Remove what a killed writer of this file left beside it: a temporary file that will never be renamed."""
    for leftover in path.parent.glob(f".{path.name}.????????"):
        leftover.unlink(missing_ok=True)


def _content(arrays: Sequence[Features], keys: Sequence[str]) -> list[bytes | memoryview]:
    """Return the content of a file: ``.npy`` of one array, ``.safetensors`` of several with their keys."""
    arrays = [np.ascontiguousarray(each) for each in arrays]
    if keys:
        return [safetensors.numpy.save(dict(zip(keys, arrays, strict=True)))]
    (only,) = arrays
    return [_header(only), only.view(np.uint8).data]  # no copy: a GPU makes a gigabyte of them a second


def _header(features: Features) -> bytes:
    """Return what ``np.save`` writes before the values."""
    header = io.BytesIO()
    described = np.lib.format.header_data_from_array_1_0(features)  # type: ignore[no-untyped-call]
    np.lib.format.write_array_header_1_0(header, described)  # type: ignore[no-untyped-call]
    return header.getvalue()


def _document(recipe: Recipe, shape: tuple[int, ...], encoded: Encoded, sha256: str) -> dict[str, Any]:
    return recipe.to_json() | encoded.to_json(recipe) | {"shape": list(shape), "sha256": sha256}


def _put_right(clip: Clip, recipe: Recipe, encoded: Encoded) -> None:
    """Write the sidecar that belongs to the existing array, from any writer."""
    path = recipe.wanted.path(clip)
    try:
        heads, sha256 = features.read_heads(path), FileEntry.of(path).sha256
    except (FileNotFoundError, ContractError):
        return  # it goes away as this is looked at: whoever took it writes again
    document = _document(recipe, next(iter(heads.values())).shape, encoded, sha256)
    write_atomically(recipe.wanted.sidecar(clip), dump(document))


def _holds(path: Path, text: str) -> bool:
    try:
        return regular.read(path, path.name) == text.encode()
    except (FileNotFoundError, ContractError):
        return False


def _links(path: Path) -> int:
    try:
        return path.stat().st_nlink
    except OSError:
        return 0


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0

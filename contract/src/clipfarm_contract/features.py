"""A clip's features on the disk: an array or several, and beside them a sidecar that says how they were made.

One array is an ``.npy`` file; several, one a layer, are a ``.safetensors`` file. Each array has a row for each token,
in order of time, then row, then column.

The sidecar is there before the array, and an array that is replaced goes before its sidecar does. So whoever finds
an array finds its own sidecar with it, whenever the encoder was killed.
"""

import hashlib
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeGuard

from clipfarm_contract import npy, regular, safetensors
from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.extraction import DEFAULT, Extraction, layer_key
from clipfarm_contract.fields import ContractError, load, show
from clipfarm_contract.layout import LAYERS_SUFFIX, Clip

TUBELET, PATCH = 2, 16
"""Frames, and pixels of height and width, that models made one token of before sidecars had a grid."""
_ITEMS = {"float16": "e", "float32": "f"}
"""What :mod:`struct` calls the types of values."""


class State(Enum):
    """How the features in a clip's folder stand to the ones that are wanted."""

    ABSENT = "absent"
    """None, or an array that is not whole, or not the one that its sidecar describes: to be made."""
    DONE = "done"
    OTHER = "other"
    """Whole, but made otherwise, of another clip, or by another program: replaced only where the user says so."""
    UNREADABLE = "unreadable"
    """An error of reading, which may pass: not known to be there or not, and left as it is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to agree before features count as the ones that are wanted.

    The rest of a sidecar follows from these, or, as the precision of the computation, is a property of the device: no
    reason to encode again. Where something is None, it is not asked about.
    """

    model: str
    dtype: str
    """``float16`` or ``float32``, of the saved array."""
    crop: int
    """Height and width of what the model sees, pixels."""
    sha256: str | None = None
    """Of the weights."""
    key: str | None = None
    """Which of the two encoders in a file of weights."""
    source: str | None = None
    """The last part of the weights' name. A copy under another name is the same weights, so who knows the hash does
    not ask for it."""
    name: str = ""
    """Of the set's files; empty: the model's."""
    extraction: Extraction = DEFAULT

    @property
    def set_name(self) -> str:
        """Name of the set."""
        return self.name or self.model

    def path(self, clip: Clip) -> Path:
        """Return where a clip's features of this set lie."""
        return clip.features(self.set_name, several=bool(self.extraction.keys))

    def other_path(self, clip: Clip) -> Path:
        """Return where they would lie if the set had one layer instead of several, or several instead of one."""
        return clip.features(self.set_name, several=not self.extraction.keys)

    def sidecar(self, clip: Clip) -> Path:
        """Return where their sidecar lies."""
        return clip.features_sidecar(self.set_name)

    def difference(self, sidecar: object) -> str | None:
        """Return in what features differ from these, by their sidecar; None where they do not."""
        for field, expected in self._fields():
            found = _at(sidecar, field)
            if expected is not None and found != expected:
                return f"made with {'.'.join(field)} {_short(found)} instead of {_short(expected)}"
        for name, expected in self._extracted(sidecar).items():
            # Sidecars of before have none of these: what they describe was made as by default.
            found = _at(sidecar, (name,)) or getattr(DEFAULT, name) or None
            if found != expected:
                return f"made with {name} {_short(found or 'none')} instead of {_short(expected or 'none')}"
        return None

    def _extracted(self, sidecar: object) -> dict[str, object]:
        asked, step = self.extraction, _at(sidecar, ("step",))
        stride = {"stride": asked.stride_on(step if isinstance(step, int) else TUBELET)}
        return {
            "context": asked.context,
            "window": asked.window,
            "layers": list(asked.layers) or None,
            "pool": asked.pool,
            **(stride if asked.context != "clip" else {}),
        }

    def _fields(self) -> Iterator[tuple[tuple[str, ...], object]]:
        yield ("model",), self.model
        yield ("weights", "source"), self.source
        yield ("weights", "sha256"), self.sha256
        yield ("weights", "key"), self.key
        yield ("dtype",), self.dtype
        yield ("preprocessing", "crop"), self.crop


def frames_sha256(hashes: Iterable[str]) -> str:
    """Return the hash of what was encoded: of the SHA-256 of each frame's file, in order, written in hexadecimal."""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def inspect(clip: Clip, wanted: Wanted, encoded: Clip | None = None) -> tuple[State, str]:
    """Tell whether a clip has its features, and if not those that are wanted, why.

    The head of the arrays and the sidecar are read, and the clip's ``clip.json`` if it has one.

    Args:
        clip: where the features lie.
        wanted: what they have to be.
        encoded: the clip that they are to be of; None: the same.
    """
    encoded = encoded or clip
    path, sidecar = wanted.path(clip), wanted.sidecar(clip)
    where = path
    try:
        try:
            heads = read_heads(path)
        except ContractError:
            return State.ABSENT, ""
        except OSError as error:
            if not regular.is_gone(error):
                raise
            if not regular.may_exist(other := wanted.other_path(clip)):
                return State.ABSENT, ""
            path, heads = other, {}
        where = sidecar
        try:
            made = load(regular.read(sidecar, sidecar.name), sidecar.name)
        except OSError as error:
            if regular.is_gone(error):
                return State.OTHER, f"{path.name} has no {sidecar.name} that says how it was made"
            raise
        if difference := wanted.difference(made):
            return State.OTHER, difference
        if array_problem(heads, made):
            return State.ABSENT, ""
        where = encoded.manifest
        difference = input_difference(heads, made, encoded)
    except ContractError as error:
        return State.OTHER, str(error)
    except OSError as error:
        return State.UNREADABLE, f"{where.name}: {regular.describe(error)}"
    return (State.OTHER, difference) if difference else (State.DONE, "")


def read_heads(path: Path) -> dict[str, npy.Head]:
    """Return the heads of the arrays in a file of features; the one of an ``.npy`` file has the empty name.

    Raises:
        OSError: it cannot be read.
        ContractError: it is no such file, or is not as long as its head says.
    """
    return safetensors.read_heads(path) if path.suffix == LAYERS_SUFFIX else {"": npy.read_head(path)}


def array_problem(heads: Mapping[str, npy.Head], sidecar: object) -> str | None:
    """Return in what arrays are not those that their sidecar describes; None if they are."""
    layers = _at(sidecar, ("layers",))
    several = isinstance(layers, list) and len(layers) > 1
    keys = {layer_key(each) for each in layers if isinstance(each, int)} if isinstance(layers, list) else set()
    if several != ("" not in heads) or (several and keys != heads.keys()):
        return f"found {', '.join(sorted(filter(None, heads))) or 'one array'}, expected layers {show(layers)}"
    shape, dtype = _at(sidecar, ("shape",)), _at(sidecar, ("dtype",))
    for head in heads.values():
        if head.count == 0:
            return f"found an array of shape {head.shape}, expected (tokens, width)"
        if shape is not None and shape != list(head.shape):
            return f"found an array of shape {head.shape}, expected {show(shape)}"
        if dtype is not None and head.item != _ITEMS.get(str(dtype)):
            return f"found numbers of {8 * struct.calcsize(head.item)} bits, expected {show(dtype)}"
    return None


def input_difference(heads: Mapping[str, npy.Head], sidecar: object, clip: Clip) -> str | None:
    """Return in what features are not those of a clip, as ``made of clip_00007 instead of clip_00042``.

    Sidecars of before do not name their clip: of those the number of tokens has to fit the clip's frames. Without a
    readable ``clip.json``, its hashes and its number of frames are not compared.

    Raises:
        OSError: the clip's ``clip.json`` cannot be read.
    """
    name, sha256 = _at(sidecar, ("input", "clip")), _at(sidecar, ("input", "sha256"))
    if name is not None and name != clip.folder.name:
        return f"made of {show(name)} instead of {show(clip.folder.name)}"
    try:
        manifest = ClipManifest.read(clip.manifest)
    except ContractError:
        return None  # the clip is damaged, which is reported elsewhere
    except OSError as error:
        if regular.is_gone(error):
            return None
        raise
    count = manifest.recipe.picture.frames
    grid, made_of, crop = (_at(sidecar, each) for each in (("grid",), ("frames",), ("preprocessing", "crop")))
    tokens = None
    if _is_grid(grid):
        if made_of != count:
            return f"made of {show(made_of)} frames, the clip has {count}"
        tokens = math.prod(grid)
    elif isinstance(crop, int):
        tokens = count // TUBELET * (crop // PATCH) ** 2
    for head in heads.values():
        if tokens is not None and head.shape[:1] != (tokens,):
            return f"an array of shape {head.shape}, expected {tokens} tokens of the clip's {count} frames"
    if sha256 is None:
        return None
    entries = [manifest.files.get(f"{clip.rgb.name}/{clip.frame(i).name}") for i in range(count)]
    expected = frames_sha256(entry.sha256 for entry in entries if entry)
    return None if sha256 == expected else "made of other frames than the clip has now"


def _is_grid(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(each, int) for each in value)


def _at(document: Any, field: tuple[str, ...]) -> object:
    for name in field:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 or not text.isalnum() else f"{text[:12]}..."

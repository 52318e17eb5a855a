"""A clip's features on the disk: the array, and beside it a sidecar that says how it was made.

The sidecar is there before the array, and an array that is replaced goes before its sidecar does. So whoever finds
an array finds its own sidecar with it, whenever the encoder was killed.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from clipfarm_contract import npy, regular
from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.fields import ContractError, load, show
from clipfarm_contract.layout import Clip

TUBELET, PATCH = 2, 16
"""Frames, and pixels of height and width, that every model makes one token of."""
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

    def difference(self, sidecar: object) -> str | None:
        """Return in what features differ from these, by their sidecar; None where they do not."""
        for field, expected in self._fields():
            found = _at(sidecar, field)
            if expected is not None and found != expected:
                return f"made with {'.'.join(field)} {_short(found)} instead of {_short(expected)}"
        return None

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

    The array's head and the sidecar are read, and the clip's ``clip.json`` if it has one.

    Args:
        clip: where the features lie.
        wanted: what they have to be.
        encoded: the clip that they are to be of; None: the same.
    """
    encoded = encoded or clip
    path, sidecar = clip.features(wanted.model), clip.features_sidecar(wanted.model)
    where = path
    try:
        try:
            head = npy.read_head(path)
        except ContractError:
            return State.ABSENT, ""
        except OSError as error:
            if regular.is_gone(error):
                return State.ABSENT, ""
            raise
        where = sidecar
        try:
            made = load(regular.read(sidecar, sidecar.name), sidecar.name)
        except OSError as error:
            if regular.is_gone(error):
                return State.OTHER, f"{path.name} has no {sidecar.name} that says how it was made"
            raise
        if difference := wanted.difference(made):
            return State.OTHER, difference
        if array_problem(head, made):
            return State.ABSENT, ""
        where = encoded.manifest
        difference = input_difference(head, made, encoded)
    except ContractError as error:
        return State.OTHER, str(error)
    except OSError as error:
        return State.UNREADABLE, f"{where.name}: {regular.describe(error)}"
    return (State.OTHER, difference) if difference else (State.DONE, "")


def array_problem(head: npy.Head, sidecar: object) -> str | None:
    """Return in what an array is not the one that its sidecar describes; None if it is."""
    shape, dtype = _at(sidecar, ("shape",)), _at(sidecar, ("dtype",))
    if head.count == 0:
        return f"found an array of shape {head.shape}, expected (tokens, width)"
    if shape is not None and shape != list(head.shape):
        return f"found an array of shape {head.shape}, expected {show(shape)}"
    if dtype is not None and head.item != _ITEMS.get(str(dtype)):
        return f"found numbers of {8 * struct.calcsize(head.item)} bits, expected {show(dtype)}"
    return None


def input_difference(head: npy.Head, sidecar: object, clip: Clip) -> str | None:
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
    count, crop = manifest.recipe.picture.frames, _at(sidecar, ("preprocessing", "crop"))
    if isinstance(crop, int) and head.shape[:1] != ((tokens := count // TUBELET * (crop // PATCH) ** 2),):
        return f"an array of shape {head.shape}, expected {tokens} tokens of the clip's {count} frames"
    if sha256 is None:
        return None
    entries = [manifest.files.get(f"{clip.rgb.name}/{clip.frame(i).name}") for i in range(count)]
    expected = frames_sha256(entry.sha256 for entry in entries if entry)
    return None if sha256 == expected else "made of other frames than the clip has now"


def _at(document: Any, field: tuple[str, ...]) -> object:
    for name in field:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 or not text.isalnum() else f"{text[:12]}..."

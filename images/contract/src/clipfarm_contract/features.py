"""A clip's features on the disk: the array, and beside it a sidecar that says how it was made.

The sidecar is there before the array, and an array that is replaced goes before its sidecar does. So whoever finds
an array finds its own sidecar with it, whenever the encoder was killed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.layout import Clip
from clipfarm_contract.npy import is_whole


class State(Enum):
    """How the features in a clip's folder stand to the ones that are wanted."""

    ABSENT = "absent"
    """None, or an array that was cut short: to be made."""
    DONE = "done"
    OTHER = "other"
    """Whole, but made otherwise or by somebody else: replaced only where the user says so."""


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


def inspect(clip: Clip, wanted: Wanted) -> tuple[State, str]:
    """Tell whether a clip has its features, and if they were made otherwise, in what they differ.

    The array's head and the sidecar are read, once each.
    """
    path, sidecar = clip.features(wanted.model), clip.features_sidecar(wanted.model)
    try:
        if not is_whole(path):
            return State.ABSENT, ""
    except OSError:
        return State.ABSENT, ""
    try:
        made = load(sidecar.read_bytes(), sidecar.name)
    except FileNotFoundError:
        return State.OTHER, f"{path.name} has no {sidecar.name} that says how it was made"
    except OSError as error:
        return State.OTHER, f"{sidecar.name}: {error.strerror}"
    except ContractError as error:
        return State.OTHER, str(error)
    difference = wanted.difference(made)
    return (State.OTHER, difference) if difference else (State.DONE, "")


def _at(document: Any, field: tuple[str, ...]) -> object:
    for name in field:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 or not text.isalnum() else f"{text[:12]}..."

"""A clip's features on the disk: the array, and beside it a sidecar that says how it was made.

The sidecar is there before the array, and an array that is replaced goes before its sidecar does. So whoever finds
an array finds its own sidecar with it, whenever the encoder was killed.
"""

import hashlib
import io
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
    return State.DONE, ""


def save(features: Features, frames: int, clip: Clip, recipe: Recipe) -> None:
    """Write a clip's features with their sidecar.

    Raises:
        OSError: the disk is full, the clip's folder is gone, ...; no array is there then.
    """
    path, sidecar = clip.features(recipe.model), clip.features_sidecar(recipe.model)
    buffer = io.BytesIO()
    np.save(buffer, features, allow_pickle=False)
    data = buffer.getvalue()
    document = recipe.to_json() | {
        "shape": list(features.shape),
        "frames": frames,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    path.parent.mkdir(exist_ok=True)  # and no more than that: a clip that is gone must not come back as an empty folder
    path.unlink(missing_ok=True)
    for each in (path, sidecar):
        remove_leftovers(each)
    write_atomically(sidecar, dump(document))
    write_atomically(path, data)


def remove_leftovers(path: Path) -> None:
    """Remove what a killed writer of this file left beside it: a temporary file that nobody will rename."""
    for leftover in path.parent.glob(f".{path.name}.????????"):
        leftover.unlink(missing_ok=True)


def _at(document: object, field: tuple[str, ...]) -> object:
    for name in field:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 or not text.isalnum() else f"{text[:12]}..."

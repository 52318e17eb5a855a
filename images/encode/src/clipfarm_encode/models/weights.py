"""Weights: where they come from, and what they are known by.

The publisher's own loader of V-JEPA 2 ignores keys that do not fit, so a wrong file gives features of a half-random
model. Here a key that is missing, surplus or of another shape stops the encoder with its name
(:mod:`clipfarm_encode.models.fitting`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from clipfarm_contract import regular
from clipfarm_encode.models.fetch import FetchError, from_address, from_huggingface, is_address
from clipfarm_encode.models.fitting import WeightsError

RANDOM = "random"
RANDOM_SEED = 0
RANDOM_NOTE = "random weights: these features mean nothing and only show that the machinery works"
DEFAULT_KEY = "target_encoder"
"""The entry of a published checkpoint that the publisher's loader takes: the moving average of the training."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Where weights came from."""

    source: str
    """Name of the file or folder, without what leads to it; ``random``."""
    sha256: str
    """Of the file; of the safetensors files' hashes where there are several; of the tensors where they are random."""
    key: str | None
    """Which entry of a published checkpoint was taken; None for the other kinds."""
    licence: str | None = None
    """Of the weights, as their publisher names it; None: not said by what was loaded."""

    @property
    def random(self) -> bool:
        """Whether the features mean nothing."""
        return self.source == RANDOM

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        more = {"licence": self.licence} if self.licence else {}
        more |= {"note": RANDOM_NOTE} if self.random else {}
        return {"source": self.source, "sha256": self.sha256, "key": self.key} | more


def locate(source: str, sha256: str | None, revision: str | None) -> Path | None:
    """Return the file or folder that holds the weights, fetched if it has to be; None: random ones.

    Args:
        source: ``random``, a file or a folder, an https address, or a Hugging Face id.
        sha256: of the file at an address.
        revision: a commit: ``source`` is a Hugging Face id.

    Raises:
        WeightsError: the source cannot be had.
    """
    try:
        if revision is not None:
            return from_huggingface(source, revision)
        if is_address(source):
            return from_address(source, sha256)
    except FetchError as error:
        raise WeightsError(str(error)) from None
    if source == RANDOM:
        return None
    path = Path(source)
    if not (path.is_dir() or path.is_file()):
        raise WeightsError(f"{source}: {'neither a file nor a folder' if path.exists() else 'no such file or folder'}")
    return path


def hash_files(files: Sequence[Path]) -> str:
    """Return the SHA-256 of a file, or of the hashes of several."""
    digests = []
    for path in files:
        with regular.opened(path, path.name) as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def hash_tensors(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors with their names, shapes and types."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()

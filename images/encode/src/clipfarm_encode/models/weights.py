"""Weights: the published checkpoint, a Hugging Face folder, or random ones; strictly, or not at all.

The publisher's own loader ignores keys that do not fit, so a wrong file gives features of a half-random model. Here
a key that is missing, surplus or of another shape stops the encoder with its name.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from clipfarm_contract import regular
from clipfarm_encode.models.fetch import FetchError, from_address, from_huggingface, is_address
from clipfarm_encode.models.fitting import State, WeightsError
from clipfarm_encode.models.vjepa2.checkpoint import read_checkpoint
from clipfarm_encode.models.vjepa2.huggingface import read_folder, safetensors_of
from clipfarm_encode.models.vjepa2.network import CONFIGS, VJEPA2Encoder, random_state

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

    @property
    def random(self) -> bool:
        """Whether the features mean nothing."""
        return self.source == RANDOM

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        note = {"note": RANDOM_NOTE} if self.random else {}
        return {"source": self.source, "sha256": self.sha256, "key": self.key} | note


def load_model(
    model: str, source: str, key: str = DEFAULT_KEY, sha256: str | None = None, revision: str | None = None
) -> tuple[VJEPA2Encoder, Weights]:
    """Build a model on the CPU in float32 and fill it.

    Args:
        model: one of :data:`~clipfarm_encode.models.vjepa2.network.CONFIGS`.
        source: ``random``, a ``.pt`` file as published, a folder with ``config.json`` and safetensors, the https
            address of a ``.pt`` file, or a Hugging Face id.
        key: which entry of a ``.pt`` file to take, ``target_encoder`` or ``encoder``.
        sha256: what the weights have to hash to (:attr:`Weights.sha256`); required for an address.
        revision: a commit: ``source`` is a Hugging Face id.

    Raises:
        WeightsError: the source cannot be had or read, is not what ``sha256`` says, or does not fit the model.
    """
    loaded, weights = _load(model, _locate(source, sha256, revision), key)
    if sha256 is not None and sha256 != weights.sha256:
        raise WeightsError(f"{source}: SHA-256 is {weights.sha256}, expected {sha256}")
    return loaded, weights


def _locate(source: str, sha256: str | None, revision: str | None) -> str:
    """Return the file or folder that holds the weights, fetched where it has to be."""
    try:
        if revision is not None:
            return str(from_huggingface(source, revision))
        return str(from_address(source, sha256)) if is_address(source) else source
    except FetchError as error:
        raise WeightsError(str(error)) from None


def _load(model: str, source: str, key: str) -> tuple[VJEPA2Encoder, Weights]:
    config = CONFIGS[model]
    path = Path(source)
    if source == RANDOM:
        state = random_state(config, RANDOM_SEED)
        weights = Weights(RANDOM, _hash_tensors(state), None)
    elif path.is_dir():
        state = read_folder(path, config)
        weights = Weights(path.resolve().name, _hash_files(safetensors_of(path)), None)
    elif path.is_file():
        state = read_checkpoint(path, config, key)
        weights = Weights(path.name, _hash_files([path]), key)
    else:
        raise WeightsError(f"{source}: {'neither a file nor a folder' if path.exists() else 'no such file or folder'}")
    with torch.device("meta"):
        filled = VJEPA2Encoder(config)
    filled.load_state_dict(state, assign=True)
    return filled.eval().requires_grad_(False), weights


def _hash_files(files: list[Path]) -> str:
    digests = []
    for path in files:
        with regular.opened(path, path.name) as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _hash_tensors(state: State) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()

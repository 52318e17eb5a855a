"""Weights in a ``.pt`` file, as V-JEPA 2's publisher has them."""

import zipfile
from pathlib import Path

import torch

from clipfarm_encode.models.fitting import State, WeightsError, first_line
from clipfarm_encode.models.vjepa2.network import Config
from clipfarm_encode.models.vjepa2.published import fit_published


def read_checkpoint(path: Path, config: Config, key: str) -> State:
    """Read a ``.pt`` file in the form of https://github.com/facebookresearch/vjepa2.

    Raises:
        WeightsError: it is no such file, or does not fit the model.
    """
    try:
        entries = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001 - bytes that are no pickle make the unpickler raise anything at all
        raise WeightsError(f"{path}: not a PyTorch file with nothing but weights ({first_line(error)})") from None
    if not isinstance(entries, dict) or not isinstance(entries.get(key), dict):
        found = ", ".join(map(str, entries)) if isinstance(entries, dict) else type(entries).__name__
        raise WeightsError(f"{path}: entry {key} is missing; found: {found}")
    state = {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in entries[key].items()}
    # Left in the checkpoints by an earlier model of the same code; rotary positions took its place.
    state.pop("pos_embed", None)
    return fit_published(config, state, lambda name: (name,), str(path))

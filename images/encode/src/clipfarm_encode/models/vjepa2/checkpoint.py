"""Weights in a ``.pt`` file, as V-JEPA 2's publisher has them."""

from pathlib import Path

from clipfarm_encode.models.fitting import State, WeightsError
from clipfarm_encode.models.tensor_files import read_pickle
from clipfarm_encode.models.vjepa2.network import Config
from clipfarm_encode.models.vjepa2.published import fit_published


def read_checkpoint(path: Path, config: Config, key: str) -> State:
    """Read a ``.pt`` file in the form of https://github.com/facebookresearch/vjepa2.

    Raises:
        WeightsError: it is no such file, or does not fit the model.
    """
    entries = read_pickle(path)
    if not isinstance(entries, dict) or not isinstance(entries.get(key), dict):
        found = ", ".join(map(str, entries)) if isinstance(entries, dict) else type(entries).__name__
        raise WeightsError(f"{path}: entry {key} is missing; found: {found}")
    state = {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in entries[key].items()}
    # Left in the checkpoints by an earlier model of the same code; rotary positions took its place.
    state.pop("pos_embed", None)
    return fit_published(config, state, lambda name: (name,), str(path))

"""Weights of a file, of a folder, or random ones, in a model."""

from pathlib import Path

import torch

from clipfarm_encode.models.fitting import WeightsError
from clipfarm_encode.models.tensor_files import safetensors_of
from clipfarm_encode.models.vjepa2.checkpoint import read_checkpoint
from clipfarm_encode.models.vjepa2.huggingface import read_folder
from clipfarm_encode.models.vjepa2.model import VJEPA2
from clipfarm_encode.models.vjepa2.network import CONFIGS, VJEPA2Encoder, random_state
from clipfarm_encode.models.weights import DEFAULT_KEY, RANDOM, RANDOM_SEED, Weights, hash_files, hash_tensors


def check(name: str, crop: int) -> None:
    """See :class:`~clipfarm_encode.models.base.Family`."""
    if name not in CONFIGS:
        raise ValueError(f"model: {name} is none of {', '.join(CONFIGS)}")
    if crop <= 0 or crop % CONFIGS[name].patch:
        raise ValueError(f"crop_size: {crop} is not a multiple of {CONFIGS[name].patch}")


def load(name: str, path: Path | None, key: str) -> tuple[VJEPA2, Weights]:
    """See :class:`~clipfarm_encode.models.base.Family`."""
    config = CONFIGS[name]
    if path is None:
        state = random_state(config, RANDOM_SEED)
        weights = Weights(RANDOM, hash_tensors(state), None)
    elif path.is_dir() and config.levels:
        raise WeightsError(f"{path}: a folder, expected a file of the release (.pt), the only form of {name}")
    elif path.is_dir():
        state = read_folder(path, config)
        weights = Weights(path.resolve().name, hash_files(safetensors_of(path)), None)
    else:
        # Files of V-JEPA 2.1 call the same thing by another name.
        key = config.average if key == DEFAULT_KEY else key
        state = read_checkpoint(path, config, key)
        weights = Weights(path.name, hash_files([path]), key)
    with torch.device("meta"):
        filled = VJEPA2Encoder(config)
    filled.load_state_dict(state, assign=True)
    return VJEPA2(filled.eval().requires_grad_(False)), weights

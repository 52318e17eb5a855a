"""Published tensors to those of the model, under whichever names they are published."""

from collections.abc import Callable

import torch

from clipfarm_encode.models.fitting import State, fit
from clipfarm_encode.models.vjepa2.network import Config, VJEPA2Encoder


def fit_published(config: Config, found: State, names: Callable[[str], tuple[str, ...]], source: str) -> State:
    """Return the model's tensors; see :func:`~clipfarm_encode.models.fitting.fit`.

    Raises:
        WeightsError: a key is missing, surplus, or of another shape.
    """
    with torch.device("meta"):
        expected = VJEPA2Encoder(config).state_dict()
        pictures = _for_pictures(config)
    # A Conv3d there, one matrix here.
    kernel = (config.width, 3, config.tubelet, config.patch, config.patch)
    state = fit(expected | pictures, found, names, source, published={"patch_embed.proj.weight": kernel})
    return {name: tensor for name, tensor in state.items() if name not in pictures}


def _for_pictures(config: Config) -> State:
    """Return what V-JEPA 2.1 has for single pictures beside videos: it has to be in a file, and is not used."""
    if not config.levels:
        return {}
    return {
        "img_mod_embed": torch.empty(1, 1, config.width),
        "patch_embed_img.proj.weight": torch.empty(config.width, 3, 1, config.patch, config.patch),
        "patch_embed_img.proj.bias": torch.empty(config.width),
    }

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
    # A Conv3d there, one matrix here.
    kernel = (config.width, 3, config.tubelet, config.patch, config.patch)
    return fit(expected, found, names, source, published={"patch_embed.proj.weight": kernel})

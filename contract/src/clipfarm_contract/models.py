"""What a model's name says of it, for programs that do not load models."""

import re
from dataclasses import dataclass

NAME = r"^(vjepa2_(vit[lhg]|tiny)16|vjepa2_1_(vit([blg]|gigantic)|tiny)16|[a-z][a-z0-9]*:[A-Za-z0-9][A-Za-z0-9_.-]*)$"
"""V-JEPA 2's models by their names. Any other family's begin with its own: ``timm:vit_small_patch14_dinov2``."""

MOST_MODEL_NAME = 128
VJEPA2_PATCH = 16


@dataclass(frozen=True, slots=True)
class Facts:
    """The numbers that follow from a model's name."""

    step: int
    """Frames that become one time step."""
    patch: int
    """Height and width of what becomes one token, pixels."""
    width: int
    """Length of a token."""
    layers: int
    """Number of blocks."""

    def tokens(self, frames: int, crop: int) -> int:
        """Return the tokens of a clip."""
        return frames // self.step * (crop // self.patch) ** 2


_VJEPA2 = {
    "vjepa2_vitl16": Facts(step=2, patch=VJEPA2_PATCH, width=1024, layers=24),
    "vjepa2_vith16": Facts(step=2, patch=VJEPA2_PATCH, width=1280, layers=32),
    "vjepa2_vitg16": Facts(step=2, patch=VJEPA2_PATCH, width=1408, layers=40),
    "vjepa2_tiny16": Facts(step=2, patch=VJEPA2_PATCH, width=192, layers=4),
    "vjepa2_1_vitb16": Facts(step=2, patch=VJEPA2_PATCH, width=768, layers=12),
    "vjepa2_1_vitl16": Facts(step=2, patch=VJEPA2_PATCH, width=1024, layers=24),
    "vjepa2_1_vitg16": Facts(step=2, patch=VJEPA2_PATCH, width=1408, layers=40),
    "vjepa2_1_vitgigantic16": Facts(step=2, patch=VJEPA2_PATCH, width=1664, layers=48),
    "vjepa2_1_tiny16": Facts(step=2, patch=VJEPA2_PATCH, width=192, layers=4),
}


VJEPA2_LAYERS = {name: known.layers for name, known in _VJEPA2.items()}
"""Blocks of each model whose name says them."""
VJEPA2_STEP = 2


def facts(name: str) -> Facts | None:
    """Return the numbers of a V-JEPA 2; None of any other model, whose names do not say them."""
    return _VJEPA2.get(name) if re.fullmatch(NAME, name) else None

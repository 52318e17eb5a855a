"""Clips to V-JEPA 2 features.

From Python::

    from clipfarm_encode import encode_single_clip, get_encoder

    encoder = get_encoder("vjepa2_vitl16", weights="vitl.pt")
    features = encode_single_clip(encoder, "clips/clip_00042")  # (tokens, width), float16

Importing the package is cheap: PyTorch comes in with the first of these names.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipfarm_encode.models.encoder import Encoder, encode_single_clip, get_encoder

__all__ = ["Encoder", "encode_single_clip", "get_encoder"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from clipfarm_encode.models import encoder  # here, because PyTorch takes seconds to import

        return getattr(encoder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A clip's features, as far as files and sidecars tell without the encoder."""

import json
from pathlib import Path
from typing import Any

from clipfarm.run import Encode
from clipfarm_contract.layout import Clip

NPY_BLOCK = 64
"""The header of a NumPy file is filled up to a multiple of these many bytes."""
ITEM_BYTES = {"float16": 2, "float32": 4}


def has_features(clip: Clip, model: str) -> bool:
    """Tell whether a clip has whole features: an array of the size that its sidecar says.

    Whether they are the ones that are wanted, the encoder itself finds out when it starts.
    """
    try:
        made: dict[str, Any] = json.loads(clip.features_sidecar(model).read_text(encoding="utf-8"))
        tokens, width = made["shape"]
        header = clip.features(model).stat().st_size - tokens * width * ITEM_BYTES[made["dtype"]]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(header > 0 and header % NPY_BLOCK == 0)


def features_difference(sidecar: Path, encode: Encode) -> str | None:
    """Return in what features differ from the ones wanted, by their sidecar; None where they do not.

    The encoder itself compares the weights' hash, too, when it starts.
    """
    assert encode.weights is not None, "an enabled encoder has weights"
    try:
        made = json.loads(sidecar.read_text(encoding="utf-8"))
        found = (made["weights"]["source"], made["dtype"], made["preprocessing"]["crop"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"no readable {sidecar.name} beside it that says how it was made"
    wanted = (encode.weights.name, {"fp16": "float16", "fp32": "float32"}[encode.dtype], encode.crop_size)
    for name, is_, should_be in zip(("weights", "dtype", "crop size"), found, wanted, strict=True):
        if is_ != should_be:
            return f"made with {name} {is_} instead of {should_be}"
    return None

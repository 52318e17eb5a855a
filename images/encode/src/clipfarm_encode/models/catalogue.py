"""From a model's name and the source of its weights to the model."""

import importlib
import importlib.util
import re
from typing import cast

from clipfarm_encode.models.base import Family, Model
from clipfarm_encode.models.fitting import WeightsError
from clipfarm_encode.models.weights import DEFAULT_KEY, Weights, locate

_FAMILY = re.compile(r"([a-z][a-z0-9]*)[:_]")


def find(name: str) -> Family:
    """Return the family of a model, whose name begins with the family's.

    Only the family that is asked for is imported: timm alone takes seconds.

    Raises:
        ValueError: there is none of that name.
    """
    match = _FAMILY.match(name)
    if match is not None and match[1] != "base":
        path = f"{__package__}.{match[1]}"
        if importlib.util.find_spec(path) is not None:
            module = importlib.import_module(path)
            if hasattr(module, "check") and hasattr(module, "load"):
                return cast(Family, module)
    raise ValueError(f"model: {name} is unknown, expected vjepa2_vitl16 or another V-JEPA 2, or timm:NAME")


def load_model(
    name: str, source: str, key: str = DEFAULT_KEY, sha256: str | None = None, revision: str | None = None
) -> tuple[Model, Weights]:
    """Build a model on the CPU in float32 and fill it.

    Args:
        name: a model's.
        source: ``random``, a file or folder with weights, the https address of a file, or a Hugging Face id.
        key: which entry of a file of V-JEPA 2's release to take, ``target_encoder`` or ``encoder``.
        sha256: what the weights have to hash to (:attr:`Weights.sha256`); required for an address.
        revision: a commit: ``source`` is a Hugging Face id.

    Raises:
        ValueError: there is no such model.
        WeightsError: the source cannot be had or read, is not what ``sha256`` says, or does not fit the model.
    """
    model, weights = find(name).load(name, locate(source, sha256, revision), key)
    if sha256 is not None and sha256 != weights.sha256:
        raise WeightsError(f"{source}: SHA-256 is {weights.sha256}, expected {sha256}")
    return model, weights

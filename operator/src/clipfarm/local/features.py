"""The features that a run asks for, by its file."""

from clipfarm.run import Encode
from clipfarm_contract.features import Wanted

DTYPES = {"fp16": "float16", "fp32": "float32"}


def wanted(encode: Encode) -> Wanted:
    """Return what the features of an enabled encoder have to agree in.

    Without the weights' hash, where the run does not name it: the encoder compares that itself when it starts.
    """
    weights = encode.weights
    assert weights is not None, "an enabled encoder has weights"
    return Wanted(encode.model, DTYPES[encode.dtype], encode.crop_size, sha256=weights.sha256, source=weights.name)

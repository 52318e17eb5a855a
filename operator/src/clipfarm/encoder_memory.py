"""GPU memory that an encoder takes, before a reading shows it."""

from clipfarm.encode import Encode
from clipfarm.feature_cost import LARGEST_MODEL
from clipfarm.world import ClipMemory
from clipfarm_contract.models import facts
from clipfarm_contract.result import MIB

CONTEXT_MIB = 500.0
"""A CUDA context with PyTorch's kernels, about."""
STATES = 30
"""Memory of a batch in hidden states (tokens by width, two bytes). ViT-L with 16 clips of 32 frames at 256 took
4.27 GiB on an H200 (``encode_gpu_gib`` in bench/RESULTS.md): 576 MiB of weights, and 29.6 times 128 MiB."""
ALLOCATES_SECONDS = 90.0
"""An encoder has its memory after this: loading its model takes up to a minute, and a batch comes after that."""


def encoder_memory(encode: Encode, frames: int) -> ClipMemory:
    """Return what an encoder is expected to take of a GPU; the most of any model, if its name does not say its size.

    Args:
        encode: how clips become features; it is enabled.
        frames: of a clip.
    """
    known = facts(encode.model) or LARGEST_MODEL
    weights = 12 * known.layers * known.width**2 * 2
    tokens = max(known.tokens(frames, each.crop) for each in encode.sets)
    batch = STATES * encode.batch_size * tokens * known.width * 2
    mib = CONTEXT_MIB + (weights + batch) / MIB
    # It is one process: nothing is known of a deviation, and none is needed while it only claims.
    return ClipMemory(mib, mib, mib, 0.0, ALLOCATES_SECONDS, 1_000)

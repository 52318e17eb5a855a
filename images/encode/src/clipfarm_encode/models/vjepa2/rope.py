"""Rotary positions in time, height and width."""

from functools import lru_cache

import torch
from torch import Tensor

ROPE_BASE = 10_000.0


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (0, 1), (2, 3), ... of each vector of ``x``, (batch, heads, tokens, head_dim).

    The product is taken in float32 and handed back in the type of ``x``: queries, keys and values have to agree.
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack((-odd, even), dim=-1).flatten(-2)
    return (x * cos + turned * sin).to(x.dtype)


@lru_cache(maxsize=8)
def rope_tables(
    grid: tuple[int, int, int], head_dim: int, device: torch.device, *, paired: bool = False, rows: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines of all positions, each (tokens, head_dim) float32.

    Each axis (time, height, width) turns the same even number of dimensions, as near to a third of the head as it
    goes; what is left is not turned: 20 + 20 + 20 and 4 of 64. The angles are computed on the CPU in float32
    whatever the weights' type and wherever the model runs: in half precision a position of 15 is off by up to
    1/16 rad.
    """
    per_axis = head_dim // 3 // 2 * 2
    frequencies = ROPE_BASE ** -(torch.arange(per_axis // 2, dtype=torch.float32) / (per_axis / 2))
    # V-JEPA 2 gives the dimensions of a pair different frequencies: the list is repeated as a whole, not entry by
    # entry. Its weights have learnt with that, so it has to stay.
    frequencies = frequencies.repeat_interleave(2) if paired else frequencies.repeat(2)
    axes = [torch.arange(n, dtype=torch.float32) for n in grid]
    if rows is not None:
        axes[1:] = [axis * (rows - 1) / max(len(axis) - 1, 1) for axis in axes[1:]]
    positions = torch.cartesian_prod(*axes)
    angles = torch.zeros(len(positions), head_dim)
    angles[:, : 3 * per_axis] = (positions[:, :, None] * frequencies).flatten(1)
    return angles.cos().to(device), angles.sin().to(device)

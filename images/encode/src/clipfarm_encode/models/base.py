"""What a model is asked for."""

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Output:
    """What of a pass through a model comes back; the default is its own output for every time step."""

    layers: tuple[int, ...] = ()
    """Blocks whose output is returned, counted from 1, ascending; empty: the last one. None above is computed."""
    norm: bool = True
    """Whether the model's last norm is applied to each layer's output; without it, it is the residual stream."""
    last: int | None = None
    """Only that many time steps, from the end; None: all."""
    pool: Literal["none", "space"] = "none"
    """``space``: the mean over the tokens of each time step, taken in float32 after the norm."""


OWN = Output()
"""A model's own output."""


def last_steps(tokens: Tensor, steps: int, output: Output) -> Tensor:
    """Return the tokens of the time steps that are asked for: (batch, tokens, width) of ``steps`` steps."""
    if output.last is None:
        return tokens
    return tokens[:, -output.last * (tokens.shape[1] // steps) :]


def pooled(tokens: Tensor, steps: int, output: Output) -> Tensor:
    """Return the mean over each time step, (batch, steps, width) float32, if it is asked for, or the tokens."""
    if output.pool == "none":
        return tokens
    kept = steps if output.last is None else output.last
    return rearrange(tokens, "b (t n) d -> b t n d", t=kept).mean(dim=2, dtype=torch.float32)

"""What a model is, and what it is asked for.

A module of this package that has :func:`check` and :func:`load` of :class:`Family` is a family of models. Its name is
the beginning of theirs: ``vjepa2_vitl16`` belongs to :mod:`clipfarm_encode.models.vjepa2`, ``timm:NAME`` to
:mod:`clipfarm_encode.models.timm`. Nothing else has to know of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import torch
from einops import rearrange
from torch import Tensor

from clipfarm_encode.files.features import Features
from clipfarm_encode.models.preprocess import Preprocessing
from clipfarm_encode.models.weights import Weights


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


class Computed(NamedTuple):
    """A clip's features, and the precision in which its matrix products were computed."""

    features: tuple[Features, ...]
    """An array for each layer that was asked for."""
    compute: str


class Lane(Protocol):
    """One model on one device: batches in, features out."""

    @property
    def compute(self) -> str:
        """Precision of the matrix products, as PyTorch names it."""
        ...

    @property
    def note(self) -> str | None:
        """What is worth knowing before the first clip, in a line."""
        ...

    def launch(self, clips: Sequence[Tensor], output: Output = OWN) -> Callable[[], list[Computed]]:
        """Start with a batch, and return a function that waits for its features.

        Args:
            clips: all of one shape, (frames, 3, crop, crop) uint8, in the host's memory.
            output: what is wanted of each.
        """
        ...

    def saving(self, saved: torch.dtype) -> "Lane":
        """Return a lane with the same model on the same device, whose features are of another type."""
        ...

    def on(self, device: torch.device) -> "Lane":
        """Return a lane with a copy of the model on another device."""
        ...

    def forget(self) -> None:
        """Give up what memory of the device is kept for the next batch."""
        ...


class Model(Protocol):
    """A loaded model."""

    @property
    def step(self) -> int:
        """Frames that become one time step."""
        ...

    @property
    def patch(self) -> int:
        """Height and width of what becomes one token, pixels."""
        ...

    @property
    def width(self) -> int:
        """Length of a token."""
        ...

    @property
    def layers(self) -> int:
        """Number of blocks."""
        ...

    @property
    def across_time(self) -> bool:
        """Whether a time step's tokens depend on other time steps."""
        ...

    def preprocessing(self, crop: int) -> Preprocessing:
        """Return how pictures become what the model sees, ``crop`` pixels high and wide."""
        ...

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return the tokens of a video along time, height and width.

        Raises:
            ValueError: the video cannot be cut into whole tokens.
        """
        ...

    def tokens(self, frames: int, height: int, width: int) -> int:
        """Return the number of tokens of a video."""
        ...

    def flop(self, frames: int, height: int, width: int, output: Output = OWN) -> int:
        """Return the floating-point operations of a video's matrix products, the rest being small."""
        ...

    def lane(self, device: torch.device, saved: torch.dtype, *, compiled: bool) -> Lane:
        """Put the model on a device.

        Args:
            device: where to.
            saved: type of the features.
            compiled: with torch.compile, if that brings anything there.
        """
        ...


class Family(Protocol):
    """Models that are loaded and run alike; a module."""

    def check(self, name: str, crop: int) -> None:
        """Say what is wrong with a name or a crop before anything large is read.

        Raises:
            ValueError: there is no such model, or it cannot see pictures of ``crop`` pixels; the message is one line
                that begins with ``model:`` or ``crop_size:``.
        """
        ...

    def load(self, name: str, path: Path | None, key: str) -> tuple[Model, Weights]:
        """Return a model on the CPU in float32.

        Args:
            name: one that was checked.
            path: the file or folder with its weights; None: random ones.
            key: which of several encoders in a file to take.

        Raises:
            WeightsError: the weights cannot be read, or do not fit the model.
        """
        ...


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

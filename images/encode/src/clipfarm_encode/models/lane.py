"""How a batch gets onto a device and its features back."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from clipfarm_encode.files.features import Features
from clipfarm_encode.models.base import OWN, Output
from clipfarm_encode.models.preprocess import normalise


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


class Network(Protocol):
    """A model in float32."""

    def outputs(self, video: Tensor, output: Output) -> tuple[Tensor, ...]:
        """Return (batch, tokens, width) for each layer, of (batch, frames, 3, height, width) normalised pixels."""
        ...


class FullLane:
    """In float32, on the CPU or MPS; everything happens at once in :meth:`launch`.

    On the CPU each clip of a batch is computed on its own, all of them side by side, with an equal share of the
    threads. A core that has a clip to itself waits for no other at the end of each layer, and finds more of what it
    needs in its own cache.
    """

    compute = "float32"

    def __init__(self, model: Network, device: torch.device, saved: torch.dtype) -> None:
        self._model = model
        self._device = device
        self._saved = saved
        if device.type == "cpu":
            self._threads = torch.get_num_threads()
            self._beside = ThreadPoolExecutor(self._threads, "clip")

    def saving(self, saved: torch.dtype) -> "FullLane":
        """See :class:`Lane`."""
        return FullLane(self._model, self._device, saved)

    @torch.inference_mode()
    def launch(self, clips: Sequence[Tensor], output: Output = OWN) -> Callable[[], list[Computed]]:
        """See :class:`Lane`."""
        if self._device.type == "cpu":
            features = self._side_by_side(clips, output)
        else:
            features = self._compute(torch.stack(list(clips)).to(self._device), output)
        return lambda: [Computed(each, self.compute) for each in features]

    def _side_by_side(self, clips: Sequence[Tensor], output: Output) -> list[tuple[Features, ...]]:
        share = self._threads // min(len(clips), self._threads)

        @torch.inference_mode()
        def compute(clip: Tensor) -> tuple[Features, ...]:
            torch.set_num_threads(share)  # of this thread's own computations
            return self._compute(clip[None], output)[0]

        return [compute(clips[0])] if len(clips) == 1 else list(self._beside.map(compute, clips))

    def _compute(self, video: Tensor, output: Output) -> list[tuple[Features, ...]]:
        """Return the layers of each clip."""
        layers = self._model.outputs(normalise(video), output)
        return list(zip(*(each.to(self._saved).cpu().numpy() for each in layers), strict=True))

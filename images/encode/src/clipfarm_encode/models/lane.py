"""How a batch gets onto a device and its features back."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from clipfarm_encode.files.features import Features
from clipfarm_encode.models.preprocess import normalise


class Computed(NamedTuple):
    """A clip's features, and the precision in which its matrix products were computed."""

    features: Features
    compute: str


class Lane(Protocol):
    """One model on one device: batches in, features out."""

    @property
    def compute(self) -> str:
        """Precision of the matrix products, as PyTorch names it."""
        ...

    def launch(self, clips: Sequence[Tensor]) -> Callable[[], list[Computed]]:
        """Start with a batch, and return a function that waits for its features.

        Args:
            clips: all of one shape, (frames, 3, crop, crop) uint8, in the host's memory.
        """
        ...


class FullLane:
    """In float32, on the CPU or MPS; everything happens at once in :meth:`launch`.

    On the CPU each clip of a batch is computed on its own, all of them side by side, with an equal share of the
    threads. A core that has a clip to itself waits for no other at the end of each layer, and finds more of what it
    needs in its own cache.
    """

    compute = "float32"

    def __init__(self, model: nn.Module, device: torch.device, saved: torch.dtype) -> None:
        self._model = model
        self._device = device
        self._saved = saved
        if device.type == "cpu":
            self._threads = torch.get_num_threads()
            self._beside = ThreadPoolExecutor(self._threads, "clip")

    @torch.inference_mode()
    def launch(self, clips: Sequence[Tensor]) -> Callable[[], list[Computed]]:
        """See :class:`Lane`."""
        if self._device.type == "cpu":
            features = self._side_by_side(clips)
        else:
            features = list(self._compute(torch.stack(list(clips)).to(self._device)).cpu().numpy())
        return lambda: [Computed(each, self.compute) for each in features]

    def _side_by_side(self, clips: Sequence[Tensor]) -> list[Features]:
        share = self._threads // min(len(clips), self._threads)

        @torch.inference_mode()
        def compute(clip: Tensor) -> Features:
            torch.set_num_threads(share)  # of this thread's own computations
            features: Features = self._compute(clip[None])[0].numpy()
            return features

        return [compute(clips[0])] if len(clips) == 1 else list(self._beside.map(compute, clips))

    def _compute(self, video: Tensor) -> Tensor:
        features: Tensor = self._model(normalise(video))
        return features.to(self._saved)

"""A model in full precision on a device."""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self

import torch
from torch import Tensor

from clipfarm_encode.files.features import Features
from clipfarm_encode.models.base import OWN, Computed, Output
from clipfarm_encode.models.preprocess import Statistics, normalise


class Network(Protocol):
    """A model in float32, on some device."""

    def outputs(self, video: Tensor, output: Output) -> tuple[Tensor, ...]:
        """Return (batch, tokens, width) for each layer, of (batch, frames, 3, height, width) normalised pixels."""
        ...

    def to(self, device: torch.device) -> Self:
        """Move the model, and return it."""
        ...


class FullLane:
    """In float32; everything happens at once in :meth:`launch`.

    On the CPU each clip of a batch is computed on its own, all of them side by side, with an equal share of the
    threads. A core that has a clip to itself waits for no other at the end of each layer, and finds more of what it
    needs in its own cache.
    """

    compute = "float32"
    note: str | None = None

    def __init__(self, model: Network, statistics: Statistics, device: torch.device, saved: torch.dtype) -> None:
        self._model = model.to(device)
        self._statistics = statistics
        self._device = device
        self._saved = saved
        if device.type == "cpu":
            self._threads = torch.get_num_threads()
            self._beside = ThreadPoolExecutor(self._threads, "clip")

    def saving(self, saved: torch.dtype) -> "FullLane":
        """See :class:`~clipfarm_encode.models.base.Lane`."""
        return FullLane(self._model, self._statistics, self._device, saved)

    def on(self, device: torch.device) -> "FullLane":
        """See :class:`~clipfarm_encode.models.base.Lane`."""
        return FullLane(copy.deepcopy(self._model), self._statistics, device, self._saved)

    def forget(self) -> None:
        """See :class:`~clipfarm_encode.models.base.Lane`; nothing is kept."""

    @torch.inference_mode()
    def launch(self, clips: Sequence[Tensor], output: Output = OWN) -> Callable[[], list[Computed]]:
        """See :class:`~clipfarm_encode.models.base.Lane`."""
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
        layers = self._model.outputs(normalise(video, self._statistics), output)
        return list(zip(*(each.to(self._saved).cpu().numpy() for each in layers), strict=True))

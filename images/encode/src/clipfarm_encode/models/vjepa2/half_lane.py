"""A model in half precision on a CUDA device: batches in, features out, while the next batch is already on its way."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from clipfarm_encode.models.base import OWN, Computed, Output
from clipfarm_encode.models.pinned import Ring
from clipfarm_encode.models.vjepa2.graph import Graphs
from clipfarm_encode.models.vjepa2.half import HalfModel, halved, representable
from clipfarm_encode.models.vjepa2.kernels import KernelError, Kernels, macros
from clipfarm_encode.models.vjepa2.network import VJEPA2Encoder
from clipfarm_encode.models.vjepa2.operations import Fused, Operations, Plain

OVERFLOWS_BEFORE_GIVING_UP = 8
"""Clips in a row that overflow in float16 before it is not tried any more."""


class HalfLane:
    """In float16 on a CUDA device.

    A batch is copied there on one stream, computed on a second and copied back on a third, from and to page-locked
    memory. So while a batch is computed, the next one may already be launched and the last one fetched.

    A clip with a value beyond float16's range is computed again in bfloat16, or in float32 on a GPU that has none.
    Which clips those are does not depend on the others of their batch.
    """

    def __init__(self, model: HalfModel, device: torch.device, saved: torch.dtype) -> None:
        """See :func:`half_lane`.

        Args:
            model: on this device or another one.
            device: which of the CUDA devices.
            saved: type of the features.
        """
        self.note: str | None = None
        """What is worth knowing before the first clip, in a line."""
        self._device = device
        self._saved = saved
        operations = self._operations(model.dtype, model.config.width)
        self._model = Graphs(model.to(device, model.dtype, operations))
        self._spare: Graphs | None = None
        self._overflows = 0
        self._into, self._of, self._out_of = (torch.cuda.Stream(device) for _ in range(3))  # type: ignore[no-untyped-call]
        self._pixels, self._features, self._flags = Ring(), Ring(), Ring()
        torch.cuda.synchronize(device)  # the weights were made on another stream than the one that uses them

    def on(self, device: torch.device) -> "HalfLane":
        """Return a lane with a copy of the model on another device."""
        return HalfLane(self._model.model, device, self._saved)

    def saving(self, saved: torch.dtype) -> "HalfLane":
        """See :class:`~clipfarm_encode.models.base.Lane`; the two share the model's memory."""
        return HalfLane(self._model.model, self._device, saved)

    @property
    def compute(self) -> str:
        """Precision of the matrix products of clips that do not overflow."""
        return _name(self._model.model.dtype)

    def _operations(self, dtype: torch.dtype, width: int) -> Operations:
        if dtype is not torch.float32:
            try:
                kernels = Kernels(self._device, macros(dtype, width, self._saved))
                return Fused(kernels.launch, dtype, self._saved)
            except KernelError as error:
                self.note = f"the encoder's CUDA kernels cannot be used, so it is slower than it could be: {error}"
        return Plain(dtype, self._saved)

    def launch(self, clips: Sequence[Tensor], output: Output = OWN) -> Callable[[], list[Computed]]:
        """See :class:`~clipfarm_encode.models.base.Lane`; returns before the batch is computed."""
        model = self._model
        wait = self._launch(clips, output, model)

        def results() -> list[Computed]:
            computed, overflowed = wait()
            if model.model.dtype is not torch.float16:
                return computed
            again = [i for i, each in enumerate(overflowed) if each]
            if again:
                others, _ = self._launch([clips[i] for i in again], output, self._fallback())()
                for i, each in zip(again, others, strict=True):
                    computed[i] = each
            self._count(overflowed)
            return computed

        return results

    @torch.inference_mode()
    def _launch(
        self, clips: Sequence[Tensor], output: Output, model: Graphs
    ) -> Callable[[], tuple[list[Computed], list[int]]]:
        staged = self._pixels.take(torch.uint8, (len(clips), *clips[0].shape))
        with torch.cuda.device(self._device):
            with torch.cuda.stream(self._into):
                video = torch.empty(staged.tensor.shape, dtype=torch.uint8, device=self._device)
                for clip, place, there in zip(clips, staged.tensor, video, strict=True):
                    np.copyto(place.numpy(), clip.numpy())  # the one before is on its way to the device meanwhile
                    there.copy_(place, non_blocking=True)
            self._of.wait_stream(self._into)
            with torch.cuda.stream(self._of):
                video.record_stream(self._of)
                features, overflowed = model(video, output)
            self._out_of.wait_stream(self._of)
            with torch.cuda.stream(self._out_of):
                fetched = [self._features.take(each.dtype, each.shape) for each in features]
                flags = self._flags.take(overflowed.dtype, overflowed.shape)
                for here, there in (*zip(fetched, features, strict=True), (flags, overflowed)):
                    there.record_stream(self._out_of)
                    here.tensor.copy_(there, non_blocking=True)
                # Waits in the driver, without a core that spins.
                done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                done.record(self._out_of)

        def wait() -> tuple[list[Computed], list[int]]:
            done.synchronize()
            found = flags.tensor.tolist()
            flags.give_back()
            staged.give_back()
            layers = zip(*(each.arrays() for each in fetched), strict=True)
            return [Computed(each, _name(model.model.dtype)) for each in layers], found

        return wait

    def forget(self) -> None:
        """Give up what memory of the device is kept for the next batch."""
        self._model.forget()
        if self._spare is not None:
            self._spare.forget()

    def _fallback(self) -> Graphs:
        if self._spare is None:
            model, dtype = self._model.model, wider(self._device)
            operations = self._operations(dtype, model.config.width)
            self._spare = Graphs(model.to(self._device, dtype, operations))
            torch.cuda.synchronize(self._device)  # as above
        return self._spare

    def _count(self, overflowed: list[int]) -> None:
        for each in overflowed:
            self._overflows = self._overflows + 1 if each else 0
        if self._overflows >= OVERFLOWS_BEFORE_GIVING_UP:
            self._model = self._fallback()


def half_lane(model: VJEPA2Encoder, device: torch.device, saved: torch.dtype) -> HalfLane:
    """Return a lane for a model that is on the CPU in float32, and stays there."""
    dtype = torch.float16 if representable(model, torch.float16) else wider(device)
    return HalfLane(halved(model, dtype, device, Plain(dtype, saved)), device, saved)


def wider(device: torch.device) -> torch.dtype:
    """Return the fastest precision of a device with the range of float32."""
    with torch.cuda.device(device):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

"""The devices of this machine, and how a batch gets onto one and back."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from clipfarm_encode.features import Features
from clipfarm_encode.preprocess import normalise

GIB = 2**30
# Dense matrix products in bfloat16 (V100: float16) with float32 sums, FLOP/s, by the name that the driver gives the
# device; from NVIDIA's data sheets, those with "sparsity" halved. Longest names first: the first that fits counts.
_PEAKS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "V100": 125e12,
}


def choose_devices(name: str) -> list[torch.device]:
    """Return the devices of a kind; ``auto`` is the first of CUDA, MPS and CPU that is there.

    Of CUDA these are all that ``CUDA_VISIBLE_DEVICES`` leaves.

    Raises:
        ValueError: the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, is_there in there.items() if is_there)
    if not there.get(name):
        raise ValueError(f"device: {name} is not there; this machine has {', '.join(n for n in there if there[n])}")
    if name == "cuda":
        return [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    return [torch.device(name)]


def half_precision(device: torch.device) -> torch.dtype | None:
    """Return the type that matrix products are computed in where that is not float32.

    Normalisation and the residual stream stay in float32 (autocast), so little is lost to rounding.
    """
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def peak_flops(device: torch.device) -> float | None:
    """Return a device's peak in half precision, FLOP/s; None where it is not known."""
    return named_peak(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def named_peak(name: str) -> float | None:
    """Return the peak of a device by its driver's name for it, as ``NVIDIA H100 80GB HBM3``."""
    words = f" {name.replace('-', ' ')} "
    return next((peak for part, peak in _PEAKS.items() if f" {part} " in words), None)


def memory_held(device: torch.device) -> int:
    """Return the bytes of a device's memory that this process holds, its cache included; 0 for the CPU."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def free_memory(device: torch.device) -> str:
    """Return how much memory is free, in words; empty for the CPU."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    return f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"


class Lane:
    """One model on one device: batches in, features out.

    On CUDA a batch is copied there on one stream, computed on a second and copied back on a third, from and to pinned
    memory. So while a batch is computed, the next one may already be launched and the last one fetched. Elsewhere
    everything happens at once in :meth:`launch`.

    On the CPU each clip of a batch is computed on its own, all of them side by side, with an equal share of the
    threads. A core that has a clip to itself waits for no other at the end of each layer, and finds more of what it
    needs in its own cache.
    """

    def __init__(self, model: nn.Module, device: torch.device, saved: torch.dtype, half: torch.dtype | None) -> None:
        self._model = model
        self._device = device
        self._saved = saved
        self._half = half
        if device.type == "cuda":
            self._streams = [torch.cuda.Stream(device) for _ in range(3)]  # type: ignore[no-untyped-call]
        if device.type == "cpu":
            self._threads = torch.get_num_threads()
            self._beside = ThreadPoolExecutor(self._threads, "clip")

    @torch.inference_mode()
    def launch(self, clips: Sequence[Tensor]) -> Callable[[], list[Features]]:
        """Start with a batch, and return a function that waits for its features.

        Args:
            clips: all of one shape, (frames, 3, crop, crop) uint8, in the host's memory.
        """
        if self._device.type == "cuda":
            return self._launch_cuda(clips)
        if self._device.type == "cpu":
            side_by_side = self._compute_side_by_side(clips)
            return lambda: side_by_side
        features = list(self._compute(torch.stack(list(clips)).to(self._device)).cpu().numpy())
        return lambda: features

    def _compute_side_by_side(self, clips: Sequence[Tensor]) -> list[Features]:
        share = self._threads // min(len(clips), self._threads)

        @torch.inference_mode()
        def compute(clip: Tensor) -> Features:
            torch.set_num_threads(share)  # of this thread's own computations
            features: Features = self._compute(clip[None])[0].numpy()
            return features

        return [compute(clips[0])] if len(clips) == 1 else list(self._beside.map(compute, clips))

    def _launch_cuda(self, clips: Sequence[Tensor]) -> Callable[[], list[Features]]:
        into, compute, out_of = self._streams
        # Pinned memory comes from a cache of PyTorch's, which gives a block out again only after the copies that were
        # launched from it.
        staged = torch.empty((len(clips), *clips[0].shape), dtype=torch.uint8, pin_memory=True)
        torch.stack(list(clips), out=staged)
        with torch.cuda.device(self._device):
            with torch.cuda.stream(into):
                video = staged.to(self._device, non_blocking=True)
            compute.wait_stream(into)
            with torch.cuda.stream(compute):
                video.record_stream(compute)
                features = self._compute(video)
            out_of.wait_stream(compute)
            with torch.cuda.stream(out_of):
                features.record_stream(out_of)
                fetched = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
                fetched.copy_(features, non_blocking=True)
                done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # waits in the driver, without a core that spins
                done.record(out_of)

        def wait() -> list[Features]:
            done.synchronize()
            return list(fetched.numpy())

        return wait

    def _compute(self, video: Tensor) -> Tensor:
        with self._precision():
            features = self._model(normalise(video))
        saved: Tensor = features.to(self._saved)
        return saved

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, self._half) if self._half else nullcontext()


def saved_dtype(name: str) -> torch.dtype:
    """Return PyTorch's type for NumPy's name of it."""
    return {"float16": torch.float16, "float32": torch.float32}[np.dtype(name).name]

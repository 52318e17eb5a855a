"""How many clips go to a device at once: what its memory has shown that it holds."""

import threading
from dataclasses import dataclass

import torch

FITS_BEFORE_RAISING = 16
"""Batches in a row that fit before a larger one is tried; doubled each time that the larger one does not fit."""
FITS_BEFORE_RAISING_AT_MOST = 1024

# What allocators of GPU memory say. A message counts only in these words: "out of memory" alone is also said of the
# host's memory, which halving a batch on the GPU does not help.
_OUT_OF_MEMORY = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "HIP out of memory",
    "MPS backend out of memory",
)


@dataclass(slots=True)
class _Size:
    size: int
    most: int
    patience: int = FITS_BEFORE_RAISING
    fits: int = 0
    trying: bool = False
    """Whether this size is one more than the one that is known to fit."""


class BatchSizes:
    """The batch size for each shape of clip: found by halving, remembered, and carefully raised again.

    Memory may be short because another program has it for the moment. So after some batches that fit, one more clip
    is tried; when that fails, the next try comes later and later.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._sizes: dict[tuple[int, ...], _Size] = {}
        self._lock = threading.Lock()

    def size(self, shape: tuple[int, ...], parts: int = 1) -> int:
        """Return how many clips of a shape to put into the next batch.

        Args:
            shape: of a clip, or of a pass with some of its frames.
            parts: how many times fewer tokens it has than a whole clip.
        """
        with self._lock:
            return self._sizes[shape].size if shape in self._sizes else self._most * parts

    def fitted(self, shape: tuple[int, ...], count: int) -> None:
        """Take note that a batch of ``count`` clips could be computed."""
        with self._lock:
            known = self._sizes.get(shape)
            if known is None or count < known.size:
                return
            known.fits, known.trying = known.fits + 1, False
            if known.fits >= known.patience and known.size < known.most:
                known.size, known.fits, known.trying = known.size + 1, 0, True

    def failed(self, shape: tuple[int, ...], count: int) -> None:
        """Take note that a batch of ``count`` clips did not fit."""
        with self._lock:
            most = max(self._most, count)  # parts of clips go in larger numbers
            known = self._sizes.setdefault(shape, _Size(most, most))
            if count > known.size:
                return  # put together before the size was lowered
            if known.trying:
                known.patience = min(2 * known.patience, FITS_BEFORE_RAISING_AT_MOST)
            known.size = max(1, count - 1 if known.trying else count // 2)
            known.fits, known.trying = 0, False


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that the device's memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)

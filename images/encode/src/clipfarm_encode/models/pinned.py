"""Page-locked host memory, from and to which a GPU copies by itself while it computes."""

import threading
import weakref
from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from clipfarm_encode.files.features import Features


def page_locked(size: int) -> Tensor:
    """Return new page-locked memory; that takes milliseconds a megabyte, and may wait for what a GPU computes."""
    return torch.empty(size, dtype=torch.uint8, pin_memory=True)


class Ring:
    """Buffers that go round: each is used again as soon as it is given back, and none is allocated meanwhile.

    Every method may be called from any thread. There are as many buffers as were in use at one time. One that is too
    small is replaced, so clips of many shapes do not add up.
    """

    def __init__(self, allocate: Callable[[int], Tensor] = page_locked) -> None:
        self._allocate = allocate
        self._free: list[Tensor] = []
        self._lock = threading.RLock()  # memory may come back, by the garbage collector, while some is taken

    def take(self, dtype: torch.dtype, shape: Sequence[int]) -> "Buffer":
        """Return a buffer for a tensor."""
        size = prod(shape) * dtype.itemsize
        with self._lock:
            large = [i for i, each in enumerate(self._free) if len(each) >= size]
            memory = self._free.pop(large[0] if large else -1) if self._free else None
        if memory is None or len(memory) < size:
            del memory
            memory = self._allocate(size)
        return Buffer(self, memory, memory[:size].view(dtype).view(*shape))

    def give(self, memory: Tensor) -> None:
        """Take a buffer's memory back."""
        with self._lock:
            self._free.append(memory)


class Buffer:
    """A tensor in a ring's memory."""

    def __init__(self, ring: Ring, memory: Tensor, tensor: Tensor) -> None:
        self.tensor = tensor
        self._ring = ring
        self._memory = memory

    def give_back(self) -> None:
        """Let others have the memory, at once."""
        self._ring.give(self._memory)

    def arrays(self) -> list[Features]:
        """Return the tensor's parts as arrays; the memory goes back to the ring when the last of them is gone."""
        whole = np.asarray(self.tensor)
        weakref.finalize(whole, self._ring.give, self._memory).atexit = False
        return list(whole)

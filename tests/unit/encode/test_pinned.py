import gc

import numpy as np
import pytest
import torch

from clipfarm_encode.models.pinned import Ring

pytestmark = pytest.mark.torch


class Memory:
    """Ordinary memory, and how much of it was asked for."""

    def __init__(self):
        self.sizes = []

    def __call__(self, size):
        self.sizes.append(size)
        return torch.zeros(size, dtype=torch.uint8)


def test_memory_is_allocated_once_however_many_batches_go_through():
    memory = Memory()
    ring = Ring(memory)
    for _ in range(5):
        one, other = (ring.take(torch.float16, (3, 4, 8)) for _ in range(2))
        assert one.tensor.shape == (3, 4, 8)
        assert one.tensor.data_ptr() != other.tensor.data_ptr()
        one.give_back()
        other.give_back()
    assert memory.sizes == [192, 192]


def test_memory_of_features_goes_back_when_the_last_of_a_batch_is_gone():
    memory = Memory()
    ring = Ring(memory)
    buffer = ring.take(torch.float32, (2, 3))
    buffer.tensor.copy_(torch.arange(6).view(2, 3))
    first, second = buffer.arrays()
    assert second.tolist() == [3, 4, 5]
    del buffer, first
    gc.collect()
    ring.take(torch.float32, (2, 3)).tensor.fill_(9)
    assert second.tolist() == [3, 4, 5]
    part = second[1:]
    del second
    assert part.tolist() == [4, 5]
    ring.take(torch.float32, (2, 3))
    assert len(memory.sizes) == 3
    del part
    gc.collect()
    ring.take(torch.float32, (2, 3))
    assert len(memory.sizes) == 3


def test_shapes_that_change_do_not_add_up():
    memory = Memory()
    ring = Ring(memory)
    for frames in (2, 8, 4, 16, 2, 16):
        buffer = ring.take(torch.uint8, (frames, 10))
        assert np.asarray(buffer.tensor).shape == (frames, 10)
        buffer.give_back()
    assert memory.sizes == [20, 80, 160]
    assert len(ring._free) == 1

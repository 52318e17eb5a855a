import itertools

import pytest

from clipfarm_encode.models.memory import FITS_BEFORE_RAISING, BatchSizes

SHAPE = (4, 3, 32, 32)


class Device:
    """Memory that holds ``room`` clips at once."""

    def __init__(self, room, most=8):
        self.room, self.sizes, self.tried = room, BatchSizes(most), []

    def batch(self):
        size = self.sizes.size(SHAPE)
        while True:
            self.tried.append(size)
            if size <= self.room:
                self.sizes.fitted(SHAPE, size)
                return size
            self.sizes.failed(SHAPE, size)
            size //= 2


@pytest.mark.parametrize(("room", "found"), [(8, 8), (7, 4), (4, 4), (3, 2), (1, 1)])
def test_the_size_that_works_is_found_by_halving_and_remembered(room, found):
    device = Device(room)
    device.batch()
    assert device.sizes.size(SHAPE) == found
    device.tried.clear()
    assert device.batch() == found
    assert device.tried == [found]


def test_after_some_batches_that_fit_one_more_clip_is_tried():
    device = Device(5)
    for _ in range(FITS_BEFORE_RAISING + 1):
        device.batch()
    assert device.tried[:2] == [8, 4]
    assert device.sizes.size(SHAPE) == 5


def test_a_try_that_fails_is_taken_back_and_the_next_comes_later():
    device = Device(4)
    for _ in range(10 * FITS_BEFORE_RAISING):
        device.batch()
    tries = [i for i, size in enumerate(device.tried) if size == 5]
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert len(gaps) == 2
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 2 * FITS_BEFORE_RAISING
    assert device.sizes.size(SHAPE) == 4


def test_memory_that_becomes_free_is_used_again():
    device = Device(1)
    device.batch()
    device.room = 8
    for _ in range(8 * FITS_BEFORE_RAISING):
        device.batch()
    assert device.sizes.size(SHAPE) == 8


def test_each_shape_has_its_own_size():
    sizes = BatchSizes(8)
    sizes.failed(SHAPE, 8)
    assert sizes.size(SHAPE) == 4
    assert sizes.size((64, 3, 32, 32)) == 8


def test_a_batch_smaller_than_the_size_proves_nothing():
    sizes = BatchSizes(8)
    sizes.failed(SHAPE, 8)
    for _ in range(100):
        sizes.fitted(SHAPE, 2)
    assert sizes.size(SHAPE) == 4

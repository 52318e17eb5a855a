import threading
from pathlib import Path

import pytest
import torch

from clipfarm_encode.batches import Batches, Prepared
from clipfarm_encode.files.finding import Found
from clipfarm_encode.files.recipe import Encoded
from clipfarm_encode.selection import Turn

pytestmark = pytest.mark.torch

LINGER = 5.0
OF = Encoded("clip_00000", 2, "", 1, 1)


@pytest.fixture
def batches(clock):
    return Batches(LINGER, clock)


def put(batches, *names, frames=2, number=0):
    for name in names:
        batches.expect()
        batches.put(Prepared(Turn(Found(name, 1, Path(name)), number), torch.zeros(frames, 3, 1, 1), OF))


def take(batches, size=2):
    batch = batches.take(lambda number, shape: size, 0)
    return batch if batch is None else [prepared.turn.found.name for prepared in batch]


def test_a_full_batch_goes_at_once_in_the_order_of_arrival(batches):
    put(batches, "a", "b", "c")
    assert take(batches) == ["a", "b"]
    assert take(batches) == []


def test_only_clips_of_one_shape_go_together(batches):
    put(batches, "a")
    put(batches, "x", frames=4)
    put(batches, "b")
    assert take(batches) == ["a", "b"]
    assert take(batches) == []


def test_only_clips_of_one_feature_set_go_together(batches):
    put(batches, "a", number=0)
    put(batches, "a", number=1)
    put(batches, "b", number=0)
    assert take(batches) == ["a", "b"]
    assert take(batches) == []


def test_a_clip_does_not_wait_longer_than_the_bound(batches, clock):
    put(batches, "a")
    clock.now += LINGER - 0.1
    assert take(batches) == []
    clock.now += 0.1
    assert take(batches) == ["a"]


def test_what_is_left_of_a_group_keeps_its_own_waiting_time(batches, clock):
    put(batches, "a", "b")
    clock.now += 3
    put(batches, "c")
    assert take(batches) == ["a", "b"]
    clock.now += 2
    assert take(batches) == []
    clock.now += 3
    assert take(batches) == ["c"]


def test_at_the_end_the_rest_goes_once_nothing_is_on_its_way(batches):
    put(batches, "a")
    batches.expect()
    batches.close()
    assert take(batches) == []
    batches.drop()
    assert take(batches) == ["a"]
    assert take(batches) is None


def test_when_no_clip_may_start_a_batch_does_not_wait_for_one(batches):
    put(batches, "a")
    batches.full_up(True)
    batches.expect()
    assert take(batches) == []  # one is being decoded
    batches.drop()
    assert take(batches) == ["a"]


def test_each_device_takes_what_it_holds(batches):
    put(batches, "a", "b", "c")
    assert take(batches, size=1) == ["a"]
    assert take(batches, size=2) == ["b", "c"]


def test_who_waits_is_woken_by_the_clip_that_fills_a_batch():
    batches = Batches(60)
    taken = []
    thread = threading.Thread(target=lambda: taken.append(batches.take(lambda number, shape: 2, 60)))
    thread.start()
    put(batches, "a", "b")
    thread.join(30)
    assert [prepared.turn.found.name for prepared in taken[0]] == ["a", "b"]

"""What a set of features takes, by the numbers of its model."""

from dataclasses import replace

import pytest

from clipfarm.feature_cost import cost, seconds_on_h200
from clipfarm_contract.extraction import Extraction
from clipfarm_contract.feature_sets import FeatureSet, WeightsSource

MIB = 2**20


def vit_l(**extraction):
    return FeatureSet("s", "vjepa2_vitl16", WeightsSource("random"), extraction=Extraction(**extraction))


@pytest.mark.parametrize(
    ("extraction", "size", "times"),
    [
        ({}, 8 * MIB, 1),
        ({"pool": "space"}, 8 * MIB / 256, 1),
        ({"layers": (8, 16, 24)}, 3 * 8 * MIB, 1),
        ({"layers": (12,)}, 8 * MIB, 0.5),
        ({"context": "frame"}, 16 * MIB, 1.25),
        ({"context": "frame", "stride": 2}, 8 * MIB, 0.626),
        ({"context": "prefix"}, 8 * MIB, 7.44),
        ({"context": "prefix", "window": 4}, 8 * MIB, 2.53),
        ({"context": "prefix", "stride": 4}, 4 * MIB, 3.98),
    ],
)
def test_disk_and_operations_of_a_clip_of_32_frames(extraction, size, times):
    found, whole = cost(vit_l(**extraction), 32), cost(vit_l(), 32)
    assert found.bytes == size
    assert found.flop / whole.flop == pytest.approx(times, rel=0.01)


def test_a_whole_clip_takes_the_operations_that_were_measured():
    assert cost(vit_l(), 32).flop == pytest.approx(4.14e12, rel=0.01)
    assert seconds_on_h200(cost(vit_l(), 32), 32, 117) == pytest.approx(1.0, rel=0.02)


def test_of_a_model_whose_name_says_nothing_nothing_is_said():
    assert cost(replace(vit_l(), model="timm:vit_small_patch14_dinov2"), 32) is None


def test_a_small_model_waits_for_decoded_frames():
    small = cost(replace(vit_l(), model="vjepa2_tiny16"), 32)
    assert seconds_on_h200(small, 32, 1000) == pytest.approx(1000 * 32 / 3800)

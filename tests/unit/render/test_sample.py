from dataclasses import replace

import numpy as np
import pytest

from clipfarm_contract.experiment import Impulse, Phase, Range
from clipfarm_render.scene import arena
from clipfarm_render.scene.sample import MIN_CONTRAST, SIZE, START, contrast, contrasting, draw

PHASE = Phase("A", friction=Range(0.5, 0.9), mass=Range(0.5, 3))
IMPULSE = Impulse(min=12, max=13, at_frame=1)


def test_the_same_seed_draws_the_same_values():
    assert draw(5, PHASE, IMPULSE) == draw(5, PHASE, IMPULSE)
    assert draw(5, PHASE, IMPULSE) != draw(6, PHASE, IMPULSE)


def test_values_stay_in_their_ranges_and_fill_them():
    samples = [draw(seed, PHASE, IMPULSE) for seed in range(500)]
    for values, low, high in (
        ([s.friction for s in samples], 0.5, 0.9),
        ([s.mass for s in samples], 0.5, 3),
        ([s.push.magnitude for s in samples], 12, 13),
        ([s.size for s in samples], SIZE.min, SIZE.max),
        ([s.position[0] for s in samples], START.min, START.max),
        ([s.position[1] for s in samples], START.min, START.max),
        ([s.yaw for s in samples], 0, 2 * np.pi),
        ([s.push.direction for s in samples], 0, 2 * np.pi),
    ):
        assert low <= min(values) < low + (high - low) / 50
        assert high - (high - low) / 50 < max(values) <= high


def test_equal_bounds_make_a_constant_and_leave_all_other_values_as_they_were():
    free = draw(5, PHASE, IMPULSE)
    fixed = draw(5, replace(PHASE, mass=Range(1, 1)), IMPULSE)
    assert fixed == replace(free, mass=1.0)


def test_the_impulse_has_its_magnitude_in_the_plane():
    push = draw(5, PHASE, IMPULSE).push
    assert np.hypot(push.x, push.y) == pytest.approx(push.magnitude)


@pytest.mark.parametrize("hue", np.linspace(0, 1, 25))
def test_every_hue_stands_out_from_every_tile(hue):
    colour = contrasting(float(hue), saturation=0.9, value=0.95)
    assert all(0 <= channel <= 1 for channel in colour)
    for tile in (arena.TILE_LIGHT, arena.TILE_DARK):
        assert contrast(colour, tile) >= MIN_CONTRAST - 1e-9


def test_a_seeds_values_never_change_between_versions():
    sample = draw(0, PHASE, IMPULSE)
    assert sample.size == pytest.approx(1.3547846732800906)
    assert sample.friction == pytest.approx(0.7917986243935994)


def test_the_choice_among_objects_leaves_all_other_values_as_they_were_and_takes_each():
    objects = ("cube", "torus", "wedge")
    drawn = [draw(seed, PHASE, IMPULSE, objects) for seed in range(60)]
    assert {sample.shape for sample in drawn} == set(objects)
    assert [replace(sample, shape="cube") for sample in drawn] == [draw(seed, PHASE, IMPULSE) for seed in range(60)]

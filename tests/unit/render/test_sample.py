"""What a clip draws: today's values, whatever may be added to an experiment."""

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest

from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_render import experiments
from clipfarm_render.job import ClipError
from clipfarm_render.scene import arena
from clipfarm_render.scene.sample import MIN_CONTRAST, contrast, contrasting
from clipfarm_render.seeds import clip_seed
from helpers.experiments import declared


def draw(seed, objects=("cube",), **phase):
    made = declared(objects=list(objects), phase=phase)
    return experiments.draw(made.scene, made.phases[0].phase, seed)[1]


def between(low, high):
    return {"min": low, "max": high}


def test_the_same_seed_draws_the_same_values():
    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


def test_values_stay_in_their_ranges_and_fill_them():
    samples = [draw(seed) for seed in range(500)]
    for values, low, high in (
        ([s.friction for s in samples], 0.5, 0.9),
        ([s.mass for s in samples], 0.5, 3),
        ([s.push.magnitude for s in samples], 12, 13),
        ([s.size for s in samples], 1.1, 1.5),
        ([s.position[0] for s in samples], -1.5, 1.5),
        ([s.position[1] for s in samples], -1.5, 1.5),
        ([s.yaw for s in samples], 0, 2 * np.pi),
        ([s.push.direction for s in samples], 0, 2 * np.pi),
    ):
        assert low <= min(values) < low + (high - low) / 50
        assert high - (high - low) / 50 < max(values) <= high


def test_equal_bounds_make_a_constant_and_leave_all_other_values_as_they_were():
    assert draw(5, mass=between(1, 1)) == replace(draw(5), mass=1.0)


def test_the_impulse_has_its_magnitude_in_the_plane():
    push = draw(5).push
    assert np.hypot(push.x, push.y) == pytest.approx(push.magnitude)


@pytest.mark.parametrize("hue", np.linspace(0, 1, 25))
def test_every_hue_stands_out_from_every_tile(hue):
    colour = contrasting(float(hue), saturation=0.9, value=0.95)
    assert all(0 <= channel <= 1 for channel in colour)
    for tile in (arena.TILE_LIGHT, arena.TILE_DARK):
        assert contrast(colour, tile) >= MIN_CONTRAST - 1e-9


def test_a_seeds_values_never_change_between_versions():
    sample = draw(0)
    assert sample.size == pytest.approx(1.3547846732800906)
    assert sample.friction == pytest.approx(0.7917986243935994)


def test_the_choice_among_objects_leaves_all_other_values_as_they_were_and_takes_each():
    objects = ("cube", "torus", "wedge")
    drawn = [draw(seed, objects) for seed in range(60)]
    assert {sample.shape for sample in drawn} == set(objects)
    assert [replace(sample, shape="cube") for sample in drawn] == [draw(seed) for seed in range(60)]


# Made with clipfarm 0.1, whose push had two laws a phase: SHA-256 of friction and mass of 1,000 clips of each of two
# runs, as doubles, and of all that these clips drew.
OF_BEFORE = {
    "A1": (
        between(0.5, 0.9),
        between(0.5, 3),
        "fd5529465c914d55156c701ad89f0720fe93e1d3d132e77429cc9c842ed86588",
        "1910eefd9e89b05d335c97c8ac3cecd43237b72e9a944c9368e55e8783ea393e",
    ),
    "B": (
        between(0.01, 0.15),
        between(1, 1),
        "889e8a79218d2f991b06b13af16fa27b774251baf6c0e5c37bc8b25947c27db1",
        "5fd5291781c7d6f6244ab3c0424224a3c2b2527b4cf4fe42cd135f1dfc9e8361",
    ),
    "A2": (
        between(0.5, 0.9),
        between(1, 1),
        "1e1d22813b98035203efd5516f4f530189591b7389a62c867980701ed996e71a",
        "184073737ee9ab68d3eb7028d6b1d38c110a72e092eca40aa2ac69c5c8e9e333",
    ),
}


@pytest.mark.parametrize("form", ["fields", "factors"])
@pytest.mark.parametrize("name", OF_BEFORE)
def test_clips_draw_what_they_drew_before_there_were_factors_in_both_forms_of_a_run(name, form):
    friction, mass, of_laws, of_all = OF_BEFORE[name]
    laws = {"friction": friction, "mass": mass}
    left_out = {"friction": ..., "mass": ...}
    made = declared(objects=list(SHAPES), phase=laws if form == "fields" else left_out | {"factors": laws})
    few, everything = hashlib.sha256(), hashlib.sha256()
    for run in (0, 42):
        for index in range(1000):
            _, drawn = experiments.draw(made.scene, made.phases[0].phase, clip_seed(run, index))
            few.update(struct.pack("<2d", drawn.friction, drawn.mass))
            values = (drawn.size, *drawn.position, drawn.yaw, *drawn.colour, drawn.friction, drawn.mass)
            pushed = (drawn.push.magnitude, drawn.push.direction, drawn.push.at_frame)
            everything.update(struct.pack("<12d", *values, *pushed))
            everything.update(drawn.shape.encode())
    assert (few.hexdigest(), everything.hexdigest()) == (of_laws, of_all)


HELD_OUT = {"objects": ["cone"], "factors": {"friction": {"min": 0.7}}}


def test_a_combination_that_is_held_out_is_not_drawn_and_all_else_keeps_its_values():
    objects = ("cube", "cone")
    free = [draw(seed, objects) for seed in range(300)]
    kept = [draw(seed, objects, exclude=[HELD_OUT]) for seed in range(300)]
    assert any(sample.shape == "cone" and sample.friction >= 0.7 for sample in free)
    assert not any(sample.shape == "cone" and sample.friction >= 0.7 for sample in kept)
    assert {sample.shape for sample in kept} == {*objects}
    for before, after in zip(free, kept, strict=True):
        held = before.shape == "cone" and before.friction >= 0.7
        assert held or after == before
        assert replace(after, shape=before.shape, friction=before.friction) == before, "no other factor is drawn again"


@pytest.mark.parametrize(
    ("name", "laws", "held_out", "shows"),
    [
        (
            "drop",
            {"bodies": {"value": 2}},
            {"objects": ["cone"], "factors": {"restitution": {"min": 0.5}}},
            lambda clip: clip.told["restitution"] >= 0.5 and any(each.shape == "cone" for each in clip.specs),
        ),
        (
            "push",
            {"pushes": {"value": 3}},
            {"factors": {"friction": {"min": 0.7}, "impulse": {"min": 12.5}}},
            lambda clip: clip.friction >= 0.7 and any(each.magnitude >= 12.5 for each in clip.pushes),
        ),
    ],
)
def test_no_further_object_or_push_shows_a_combination_that_is_held_out(name, laws, held_out, shows):
    def drawn(**exclude):
        made = declared(
            name=name,
            objects=["cube", "cone"],
            factors=laws,
            impulse=...,
            phase={"friction": ..., "mass": ..., **exclude},
        )
        return [experiments.draw(made.scene, made.phases[0].phase, seed)[1] for seed in range(300)]

    assert any(map(shows, drawn()))
    assert not any(map(shows, drawn(exclude=[held_out])))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_story_takes_of_further_draws_just_the_factors_that_are_declared_as_each_ones(name):
    declaration, taken = EXPERIMENTS[name], set()

    class Recorded(dict):
        def __getitem__(self, factor):
            taken.add(factor)
            return super().__getitem__(factor)

    most = {"bodies": 2, "pushes": 2}
    values = {each.name: each.value(each.default, 0.5) for each in declaration.factors}
    values |= {factor: number for factor, number in most.items() if factor in values}
    experiments.story(name).draw(values, lambda _: Recorded(values), declared(impulse=...).scene)
    assert name == "occlude" or taken == {each.name for each in declaration.factors if each.each}


def test_a_phase_of_which_hardly_anything_is_left_fails_its_clip_in_one_line():
    nearly_all = [{"factors": {"friction": {"min": 0.5, "max": 0.7}}}, {"factors": {"friction": {"min": 0.7}}}]
    with pytest.raises(ClipError, match=r"^exclude of phase A1: found 1000 draws held out, expected one that is not$"):
        draw(5, exclude=nearly_all)


def test_a_law_for_one_factor_leaves_the_values_of_all_others_as_they_were():
    factors = EXPERIMENTS["push"].factors
    made = declared()
    free, _ = experiments.draw(made.scene, made.phases[0].phase, 5)
    for factor in factors:
        if factor.is_object or factor.name in ("friction", "mass"):
            continue
        constant = factor.names[-1] if factor.names else factor.default.extremes[0]
        law = {"names": [constant]} if factor.names else {"value": constant}
        one = declared(phase={"factors": {factor.name: law}})
        values, _ = experiments.draw(one.scene, one.phases[0].phase, 5)
        assert values == {**free, factor.name: constant}

"""Features as colours: the same colour means the same in every clip, now and later."""

import importlib
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from clipfarm.data import feature_files
from clipfarm.gallery import feature_strips, places, strips
from helpers.clips import give_features, give_layers, make_clips

command = importlib.import_module("clipfarm.cli.gallery").gallery
STEPS, SIDE, WIDTH = 3, 4, 8


def halves(seed: int, steps: int = STEPS) -> np.ndarray:
    """Features whose left and right tokens differ, with some noise."""
    values = np.random.default_rng(seed).normal(0, 0.05, (steps, SIDE, SIDE, WIDTH))
    values[:, :, : SIDE // 2, 0] += 1
    return values.reshape(steps, SIDE * SIDE, WIDTH).astype(np.float16)


@pytest.fixture
def run(tmp_path):
    run = make_clips(tmp_path / "run", frames=2 * STEPS, size=16, A=4)
    for index in (0, 1, 2):
        give_features(run.clip(index), "m", halves(index))
    return run


def gallery(run, *options):
    return CliRunner().invoke(command, [str(run.root), *options])


def shown(run, index, name="m"):
    with Image.open(places.feature_strip(run.root / "gallery", name, index)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_tokens_that_differ_have_different_colours_in_their_places(run):
    done = gallery(run, "--features", "m")
    assert done.exit_code == 0
    assert done.output.splitlines()[0] == "clip 3 has no picture of m: no features m yet"
    picture = shown(run, 1)
    assert picture.shape == (strips.SIDE, STEPS * strips.SIDE, 3)
    first = picture[:, : strips.SIDE]
    left, right = (half.reshape(-1, 3).mean(axis=0) for half in np.split(first, 2, axis=1))
    assert np.abs(left - right).max() > 150


def test_the_page_knows_which_clips_have_them(run):
    gallery(run, "--features", "m")
    text = (run.root / "gallery" / "data" / "clips.js").read_text()
    found = json.loads(text.removeprefix('gallery.receive("clips", ').removesuffix(");\n"))
    assert found["features"] == [{"name": "m", "there": [1, 1, 1, 0]}]


def test_a_clip_that_comes_later_gets_the_same_colours(run):
    gallery(run, "--features", "m")
    before = shown(run, 0)
    give_features(run.clip(3), "m", halves(0))
    gallery(run, "--features", "m")
    assert np.array_equal(shown(run, 3), before)
    assert np.array_equal(shown(run, 0), before)


def test_a_layer_has_a_name_without_a_slash(run):
    for index in run.clips():
        give_layers(run.clip(index), "deep", {"layer_08": halves(index), "layer_16": halves(9)})
    assert gallery(run, "--features", "deep/layer_08").exit_code == 0
    assert shown(run, 0, "deep-layer_08").shape[0] == strips.SIDE


def test_what_cannot_be_shown_is_said_in_one_line(run):
    for index in run.clips():
        give_features(run.clip(index), "pooled", halves(index)[:, :1])
    for name, line in (
        ("none", "--features: no clip has none: no features none yet"),
        ("pooled", "--features: pooled has one token a time step, so there is no picture to show"),
    ):
        done = gallery(run, "--features", name)
        assert (done.exit_code, done.output) == (2, f"{line}\n")


def test_a_clip_with_features_of_another_width_is_left_out(run):
    give_features(run.clip(3), "m", halves(3)[..., :5])
    lines = gallery(run, "--features", "m").output.splitlines()
    assert lines[0] == "clip 3 has no picture of m: m.npy: found width 5, expected 8 as in the other clips"


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04 and no more"])
def test_what_a_kill_left_of_the_colours_is_found_again(run, left):
    gallery(run, "--features", "m")
    before, path = shown(run, 0), places.basis(run.root / "gallery", "m")
    path.write_bytes(left)
    places.feature_strip(run.root / "gallery", "m", 0).unlink()
    assert gallery(run, "--features", "m").exit_code == 0
    assert np.array_equal(shown(run, 0), before)


@pytest.mark.filterwarnings("error")
def test_tokens_with_values_that_are_no_numbers_are_black_and_change_no_other_colour(run):
    gallery(run, "--features", "m")
    before = shown(run, 1)
    values = halves(3)
    values[:, 0] = np.nan
    give_features(run.clip(3), "m", values)
    assert gallery(run, "--features", "m").exit_code == 0
    assert np.array_equal(shown(run, 1), before)
    assert shown(run, 3)[: strips.SIDE // SIDE - 4, : strips.SIDE // SIDE - 4].max() < 16
    places.basis(run.root / "gallery", "m").unlink()
    assert gallery(run, "--features", "m").exit_code == 0


def test_features_without_any_number_are_refused_in_one_line(run):
    for index in (0, 1, 2):
        give_features(run.clip(index), "m", np.full_like(halves(index), np.nan))
    done = gallery(run, "--features", "m")
    assert (done.exit_code, done.output) == (2, "--features: m has values that are no numbers in every token\n")


def test_directions_are_those_of_largest_variance_with_a_sign_of_their_own():
    random = np.random.default_rng(0)
    scales = np.array([5, 0.1, 3, 0.1, 1, 0.1])
    tokens = (random.normal(size=(4000, 6)) * scales).astype(np.float32)
    basis = feature_strips.fit(tokens)
    assert np.abs(basis.directions).argmax(axis=0).tolist() == [0, 2, 4]
    assert (basis.directions[[0, 2, 4], range(3)] > 0.9).all()
    assert np.array_equal(feature_strips.fit(tokens).directions, basis.directions)


def test_fewer_than_three_numbers_are_enough():
    tokens = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    assert feature_strips.fit(tokens).colours(tokens).shape == (100, 3)


@pytest.mark.parametrize(("tokens", "expected"), [(256, (16, 16)), (1, (1, 1)), (12, (3, 4)), (7, (1, 7))])
def test_tokens_are_laid_out_as_evenly_as_can_be(tokens, expected):
    assert feature_files.even_grid(tokens) == expected

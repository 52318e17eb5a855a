"""Frames over a background that was rendered once, against full renders."""

import numpy as np
import pytest

from clipfarm_contract.experiment import SHAPES
from clipfarm_render import background
from clipfarm_render.camera import Camera
from clipfarm_render.cycles import Box
from clipfarm_render.frames import CompositeFrames
from clipfarm_render.region import Rule

from .scenes import build

pytestmark = pytest.mark.blender
SIZE, SAMPLES = 64, 16
EVERYTHING = Box(0, 0, SIZE, SIZE)
MANY = SAMPLES * background.CLEAN

PLACES = {shape: {"shape": shape} for shape in SHAPES} | {
    "at the far wall": {"shape": "cube", "position": (-0.5, 3.4)},
    "in the near corner": {"shape": "cube", "position": (3.4, -3.4)},
    "bright, in the far corner": {"shape": "cube", "position": (-3.4, 3.4), "colour": (0.9, 0.8, 0.1)},
    "in the air": {"shape": "cone", "height": 2.0},
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("backgrounds")


@pytest.fixture(scope="module", params=PLACES)
def scene(request, kept, tmp_path_factory):
    made = build(scratch := tmp_path_factory.mktemp("scene"), resolution=SIZE, samples=SAMPLES, **PLACES[request.param])
    return made, background.get(kept, made.renderer, SAMPLES, "cpu", scratch)


def frames_of(scene):
    made, behind = scene
    return CompositeFrames(made.renderer, made.stage, made.sample, made.trajectory, behind, SAMPLES)


def seen(renderer, picture):
    """As 8-bit steps, with fractions."""
    return renderer.as_seen(picture, depth=16).astype(float) / 257


def inside(boxes):
    mask = np.zeros((SIZE, SIZE), bool)
    for box in boxes:
        mask[box.slices] = True
    return mask


@pytest.fixture(scope="module")
def converged(scene):
    made, _ = scene
    made.renderer.go_to(0)
    return made.renderer.render_box(EVERYTHING, MANY)


def test_what_lies_outside_of_the_region_changes_by_less_than_half_a_step(scene, converged):
    made, behind = scene
    frames = frames_of(scene)
    region = Rule(behind.surroundings, Camera(SIZE)).find(frames.solid(0))
    difference = seen(made.renderer, converged) - seen(made.renderer, behind.clean)
    outside = ~inside(region.weak)
    assert 0.1 < outside.mean() < 0.95
    # Both have the same noise where nothing has changed. Means over 4 x 4 pixels take out what is left of it.
    blocks = np.abs(difference.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))).max(axis=-1)
    whole = outside.reshape(16, 4, 16, 4).all(axis=(1, 3))
    assert blocks[whole].max() < 0.5
    assert blocks.max() > 10, "inside of it, the object does change the picture"


def test_a_frame_is_no_worse_than_a_full_render_anywhere_and_the_same_in_expectation(scene, converged):
    made, _ = scene
    frames = frames_of(scene)
    composite = seen(made.renderer, frames.linear(0))
    full = seen(made.renderer, made.renderer.render_box(EVERYTHING, SAMPLES))
    reference = seen(made.renderer, converged)
    region = Rule(scene[1].surroundings, Camera(SIZE)).find(frames.solid(0))
    for part in (np.ones((SIZE, SIZE), bool), inside(region.weak), ~inside(region.weak)):
        assert error(composite, reference, part) <= error(full, reference, part)
    assert error(composite, reference, inside(region.strong)) <= 1.05 * error(full, reference, inside(region.strong))
    # Over the region as a whole, noise cancels and a bias would not.
    assert np.abs((composite - reference)[inside(region.weak)].mean(axis=0)).max() < 0.5


def test_no_seam_is_to_be_seen_at_the_regions_edge(scene, converged):
    made, behind = scene
    frames = frames_of(scene)
    reference = seen(made.renderer, converged)
    difference = seen(made.renderer, frames.linear(0)) - reference
    of_full = seen(made.renderer, made.renderer.render_box(EVERYTHING, SAMPLES)) - reference
    region = inside(Rule(behind.surroundings, Camera(SIZE)).find(frames.solid(0)).weak)
    edge = np.zeros_like(region)
    edge[1:] |= region[1:] & ~region[:-1]
    edge[:-1] |= region[:-1] & ~region[1:]
    edge[:, 1:] |= region[:, 1:] & ~region[:, :-1]
    edge[:, :-1] |= region[:, :-1] & ~region[:, 1:]
    # Just inside, the level is that of the background, and the noise less than in a full render.
    assert np.abs(difference[edge].mean(axis=0)).max() < 0.5
    assert difference[edge].std() < of_full[edge].std()


def error(picture, reference, part):
    """Mean square error in a part of the picture, floored at what 8 bits can show."""
    return max(float(((picture - reference)[part] ** 2).mean()), 1 / 12)


def test_one_background_serves_all_objects_and_a_damaged_one_is_made_again(tmp_path):
    first = build(tmp_path, "cube", 16)
    made = background.get(tmp_path / "kept", first.renderer, 2, "cpu", tmp_path)
    (file,) = (tmp_path / "kept").glob("*.npz")
    written = file.read_bytes()
    other = build(tmp_path, "torus", 16)
    assert (background.get(tmp_path / "kept", other.renderer, 2, "cpu", tmp_path).clean == made.clean).all()
    assert (background.get(None, other.renderer, 2, "cpu", tmp_path).clean == made.clean).all(), (
        "it depends on no object"
    )
    file.write_bytes(written[: len(written) // 2])
    assert (background.get(tmp_path / "kept", other.renderer, 2, "cpu", tmp_path).weak == made.weak).all()
    assert file.read_bytes() == written


def test_other_settings_have_another_background():
    keys = {background.key(64, 16, "cpu"), background.key(65, 16, "cpu"), background.key(64, 8, "cpu")}
    assert len(keys | {background.key(64, 16, "cuda")}) == 4


def test_where_backgrounds_cannot_be_kept_the_clip_is_made_all_the_same(tmp_path, capfd):
    (tmp_path / "kept").write_text("a file, where the folder should be")
    made = build(tmp_path, "cube", 16)
    assert background.get(tmp_path / "kept", made.renderer, 2, "cpu", tmp_path).clean.shape == (16, 16, 3)
    assert "the background is not kept" in capfd.readouterr().out

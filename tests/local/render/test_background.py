"""Frames over a background that was rendered once, against full renders."""

import os

import bpy
import numpy as np
import pytest

from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.layout import Clip
from clipfarm_render.picture import background, view
from clipfarm_render.picture.boxes import Box
from clipfarm_render.picture.frames import CompositeFrames, write_all
from clipfarm_render.picture.region import Rule
from clipfarm_render.scene.kubric_compat import kb
from clipfarm_render.scene.look import Look
from clipfarm_render.scene.motion import Motion

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
    return made, background.get(kept, made.renderer, SAMPLES, "cpu", scratch, made.stage)


def frames_of(scene):
    made, behind = scene
    return CompositeFrames(made.renderer, made.stage, Motion.of(made.trajectory), behind, SAMPLES)


def seen(picture):
    """As 8-bit steps, with fractions."""
    return view.seen(picture, depth=16).astype(float) / 257


@pytest.fixture(scope="module")
def converged(scene):
    made, _ = scene
    made.renderer.go_to(0)
    return made.renderer.render_box(EVERYTHING, MANY)


def test_what_lies_outside_of_the_region_changes_by_less_than_half_a_step(scene, converged):
    _, behind = scene
    frames = frames_of(scene)
    region = Rule(behind.surroundings, Look.usual(SIZE)).find(frames.solids(0))
    difference = seen(converged) - seen(behind.clean)
    outside = ~region.weak.pixels
    assert 0.1 < outside.mean() < 0.95
    # Both have the same noise where nothing has changed. Means over 4 x 4 pixels take out what is left of it.
    blocks = np.abs(difference.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))).max(axis=-1)
    whole = outside.reshape(16, 4, 16, 4).all(axis=(1, 3))
    assert blocks[whole].max() < 0.5
    assert blocks.max() > 10, "inside of it, the object does change the picture"


def test_a_frame_is_no_worse_than_a_full_render_anywhere_and_the_same_in_expectation(scene, converged):
    made, _ = scene
    frames = frames_of(scene)
    composite = seen(frames.linear(0))
    full = seen(made.renderer.render_box(EVERYTHING, SAMPLES))
    reference = seen(converged)
    region = Rule(scene[1].surroundings, Look.usual(SIZE)).find(frames.solids(0))
    for part in (np.ones((SIZE, SIZE), bool), region.weak.pixels, ~region.weak.pixels):
        assert error(composite, reference, part) <= error(full, reference, part)
    # In a shadow, the noise of the lit background has little in common with that of the frame.
    strong = region.strong.pixels
    assert error(composite, reference, strong) <= 1.1 * error(full, reference, strong)
    # Over the region as a whole, noise cancels and a bias would not.
    assert np.abs((composite - reference)[region.weak.pixels].mean(axis=0)).max() < 0.5


def test_no_seam_is_to_be_seen_at_the_regions_edge(scene, converged):
    made, behind = scene
    frames = frames_of(scene)
    reference = seen(converged)
    difference = seen(frames.linear(0)) - reference
    of_full = seen(made.renderer.render_box(EVERYTHING, SAMPLES)) - reference
    region = Rule(behind.surroundings, Look.usual(SIZE)).find(frames.solids(0)).weak.pixels
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
    made = background.get(tmp_path / "kept", first.renderer, 2, "cpu", tmp_path, first.stage)
    (file,) = (tmp_path / "kept").glob("*.npz")
    written = file.read_bytes()
    other = build(tmp_path, "torus", 16)
    kept = background.get(tmp_path / "kept", other.renderer, 2, "cpu", tmp_path, other.stage)
    assert (kept.clean == made.clean).all()
    assert (background.get(None, other.renderer, 2, "cpu", tmp_path, other.stage).clean == made.clean).all(), (
        "it depends on no object"
    )
    file.write_bytes(written[: len(written) // 2])
    assert (background.get(tmp_path / "kept", other.renderer, 2, "cpu", tmp_path, other.stage).weak == made.weak).all()
    assert file.read_bytes() == written


def test_other_settings_have_another_background():
    usual, larger, turned = Look.usual(64), Look.usual(65), Look.of({"cameraAzimuth": 30.0}, 64)
    settings = [(usual, 16, "cpu"), (larger, 16, "cpu"), (turned, 16, "cpu"), (usual, 8, "cpu"), (usual, 16, "cuda")]
    assert len({background.key(*each) for each in settings}) == len(settings)
    assert background.key(Look.of({"cameraAzimuth": 0.0}, 64), 16, "cpu") == background.key(usual, 16, "cpu")


def test_backgrounds_that_were_not_used_for_long_make_room_for_others(tmp_path):
    for age, name in enumerate(("new", "used", "old", "oldest")):
        (tmp_path / f"{name}.npz").write_bytes(bytes(10))
        (tmp_path / f"{name}.lock").touch()
        os.utime(tmp_path / f"{name}.npz", (1000 - age, 1000))
    background.make_room(tmp_path, 40, tmp_path / "new.npz")
    assert len(list(tmp_path.iterdir())) == 8, "all of them fit"
    background.make_room(tmp_path, 29, tmp_path / "oldest.npz")
    assert {path.name for path in tmp_path.iterdir()} == {"new.npz", "new.lock", "oldest.npz", "oldest.lock"}


def test_a_background_that_is_used_again_counts_as_new(tmp_path):
    made = build(tmp_path, "cube", 16)
    background.get(tmp_path / "kept", made.renderer, 2, "cpu", tmp_path, made.stage)
    (file,) = (tmp_path / "kept").glob("*.npz")
    os.utime(file, (1000, 2000))
    background.get(tmp_path / "kept", made.renderer, 2, "cpu", tmp_path, made.stage)
    assert file.stat().st_atime > 2000
    assert file.stat().st_mtime == 2000


def test_where_backgrounds_cannot_be_kept_the_clip_is_made_all_the_same(tmp_path, capfd):
    (tmp_path / "kept").write_text("a file, where the folder should be")
    made = build(tmp_path, "cube", 16)
    assert background.get(tmp_path / "kept", made.renderer, 2, "cpu", tmp_path, made.stage).clean.shape == (16, 16, 3)
    assert "the background is not kept" in capfd.readouterr().out


def test_frames_written_with_helpers_are_those_written_one_after_the_other(kept, tmp_path):
    made = build(tmp_path, "cone", 32, 4)
    behind = background.get(kept, made.renderer, 4, "cpu", tmp_path, made.stage)
    written = []
    for helpers in (0, 2):
        (clip := Clip(tmp_path / str(helpers))).rgb.mkdir(parents=True)
        motion = Motion.of(made.trajectory)
        frames = CompositeFrames(made.renderer, made.stage, motion, behind, 4, helpers)
        write_all(frames, motion, clip)
        written.append([clip.frame(frame).read_bytes() for frame in range(len(made.trajectory.positions))])
    assert written[0] == written[1]
    assert len(set(written[0])) > 1, "the object moves"


def test_a_picture_is_seen_as_blender_itself_shows_it(tmp_path):
    scene = build(tmp_path, "cube", 16).renderer.blender_scene
    values = np.exp(np.random.default_rng(0).normal(-2, 2.5, (16, 16, 3))).astype(np.float32)
    values[0], values[1], values[2] = 0, 1e4, 1e-7
    for depth, most in ((8, 0), (16, 1)):
        ours, blenders = view.seen(values, depth), shown_by_blender(scene, values, depth, tmp_path)
        # Both choose instructions by the processor, and not the same ones: the last bits of a float may differ.
        assert np.abs(ours.astype(int) - blenders.astype(int)).max() <= most


def shown_by_blender(scene, linear, depth, folder):
    height, width = linear.shape[:2]
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = linear[::-1]
    image = bpy.data.images.new("linear", width, height, alpha=False, float_buffer=True)
    image.pixels.foreach_set(rgba.ravel())
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", str(depth)
    image.save_render(str(folder / "shown.png"), scene=scene)
    bpy.data.images.remove(image)
    return np.asarray(kb.read_png(folder / "shown.png"))[..., :3]

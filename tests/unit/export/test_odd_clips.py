"""Clips of renderers that keep to no form but `clip.json`: exported, or left out with a reason that others can read."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipfarm_contract.completing import complete
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_export import clips
from helpers.exports import content, export
from helpers.run_folder import experiment

FORMATS = pytest.mark.parametrize("form", ["hf", "webdataset", "lerobot"])
FRAMES = 3
BLACK = Image.new("RGB", (20, 10))


def write(run, index, *, frames=(BLACK,) * FRAMES, depth=(), **files):
    """Write a clip: its frames, their depths, and further files by the names that :class:`Clip` has for them."""
    attempt = Clip(RunFolder(run).attempt(index, "made"))
    for i, frame in enumerate(frames):
        attempt.frame(i).parent.mkdir(parents=True, exist_ok=True)
        attempt.frame(i).write_bytes(frame) if isinstance(frame, bytes) else frame.save(attempt.frame(i))
    for i, values in enumerate(depth):
        attempt.layer("depth", i).parent.mkdir(exist_ok=True)
        np.save(attempt.layer("depth", i), values)
    for name, value in files.items():
        path = getattr(attempt, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value)) if path.suffix == ".json" else np.save(path, value)
    what = experiment(2, layers=["rgb", "depth"])
    complete(attempt.folder, RunFolder(run).clip(index), what.recipe(1, index), {}, ("draw",))


def left_out(place):
    return {each["clip"]: each["reason"] for each in json.loads((place / "export.json").read_text())["leftOut"]}


@FORMATS
@pytest.mark.parametrize(
    ("states", "said"),
    [
        pytest.param(np.float32(1), "float32 of shape (), expected numbers of each frame", id="one number"),
        pytest.param(np.zeros((0, 2)), "float64 of shape (0, 2), expected numbers of each frame", id="none"),
        pytest.param(np.array(["a"] * FRAMES), "<U1 of shape (3,), expected numbers of each frame", id="words"),
        pytest.param(np.zeros(FRAMES, complex), "complex128 of shape (3,), expected numbers", id="complex numbers"),
        pytest.param(np.array([{}] * FRAMES), "Object arrays cannot be loaded when allow_pickle=False", id="objects"),
    ],
)
def test_a_clip_whose_states_are_no_numbers_is_left_out_and_the_others_are_not(tmp_path, form, states, said):
    write(tmp_path / "run", 0, actions=np.zeros((FRAMES, 2)), states=np.zeros((FRAMES, 2)))
    write(tmp_path / "run", 1, actions=np.zeros((FRAMES, 2)), states=states)
    done = export(tmp_path / "run", tmp_path / "out", form=form)
    assert (done.exit_code, done.stdout.startswith("exported 1 clips")) == (1, True)
    assert left_out(tmp_path / "out")["clip_00001"].startswith(f"actions_states/ground_truth_states.npy: {said}")


DEEP = Image.fromarray(np.full((10, 20), 40_000, np.uint16))


@FORMATS
@pytest.mark.parametrize(
    ("frame", "said"),
    [
        pytest.param(b"no picture", "damaged, or not a PNG picture", id="no picture"),
        pytest.param(DEEP, "16 bits a channel, expected 8", id="more bits than a video has"),
    ],
)
def test_a_clip_whose_frames_are_not_8_bit_pictures_is_left_out_for_a_reason_that_stays_the_same(
    tmp_path, form, frame, said
):
    write(tmp_path / "run", 0)
    write(tmp_path / "run", 1, frames=(BLACK, BLACK, frame))
    for place in ("out", "again"):
        assert export(tmp_path / "run", tmp_path / place, form=form).exit_code == 1
    assert left_out(tmp_path / "out") == {"clip_00001": f"rgb/frame_00002.png: {said}"}
    assert content(tmp_path / "out") == content(tmp_path / "again")


def test_lerobot_gets_no_episode_with_frames_of_another_size_than_the_others_also_in_another_video(tmp_path):
    write(tmp_path / "run", 0)
    write(tmp_path / "run", 1, frames=[Image.new("RGB", (22, 10))] * FRAMES)
    assert export(tmp_path / "run", tmp_path / "out", form="lerobot").exit_code == 1
    assert left_out(tmp_path / "out") == {
        "clip_00001": "frames of 22 x 10 pixels, expected 20 x 10 pixels as in the first clip"
    }


@FORMATS
def test_a_ground_truth_may_use_any_name_also_one_that_the_export_needs(tmp_path, form):
    truth = {"ground_truth": "x", "clip_json": 1.0, "pixel_sums": 2.0, "recipe": {}, "truth_clip_json": 3.0, "größe": 4}
    write(tmp_path / "run", 0, ground_truth=truth)
    assert export(tmp_path / "run", tmp_path / "out", form=form).exit_code == 0
    [row] = pq.read_table(tmp_path / "out" / "metadata" / "clips.parquet").to_pylist()
    names = ("truth_ground_truth", "truth_truth_clip_json", "truth_pixel_sums", "truth_clip_json", "größe")
    assert [row[name] for name in names] == ["x", 3.0, 2.0, 1.0, 4]


@pytest.mark.parametrize("form", ["hf", "webdataset"])
def test_a_clip_whose_layer_has_two_forms_is_left_out(tmp_path, form):
    flat = np.zeros((10, 20), np.float32)
    write(tmp_path / "run", 0, depth=[flat] * FRAMES)
    write(tmp_path / "run", 1, depth=[flat, flat[1:], flat])
    assert export(tmp_path / "run", tmp_path / "out", "--layers", "depth", form=form).exit_code == 1
    name = Clip(tmp_path).layer("depth", 1).relative_to(tmp_path)
    assert left_out(tmp_path / "out") == {
        "clip_00001": f"{name}: float32 of shape (9, 20), others float32 of shape (10, 20)"
    }


def test_a_clip_that_goes_away_meanwhile_is_left_out_for_a_reason_without_a_folder_of_this_machine(
    tmp_path, monkeypatch
):
    write(tmp_path / "run", 0, ground_truth={})
    write(tmp_path / "run", 1, ground_truth={})

    def goes_away(clip):
        if clip.folder.name == "clip_00001":
            clip.ground_truth.unlink()
        return damage(clip)[:0]

    damage = clips.damage
    monkeypatch.setattr(clips, "damage", goes_away)
    assert export(tmp_path / "run", tmp_path / "out").exit_code == 1
    assert left_out(tmp_path / "out") == {"clip_00001": "cannot be read: No such file or directory (ENOENT)"}


def test_a_run_of_which_no_clip_can_be_read_is_refused_with_the_first_reason(tmp_path):
    write(tmp_path / "run", 0, ground_truth=[1, 2])
    done = export(tmp_path / "run", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.endswith("no clip can be exported; clip_00000: ground_truth.json: expected an object\n")

"""The built-in renderer, with a real Blender, on clips as small as they can be."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.examining import damage
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_render.scene.camera import Camera

from .conftest import Supervisor

pytestmark = pytest.mark.blender
FRAMES, SIZE = 4, 64


def hashes(clip):
    return {
        path.relative_to(clip.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(clip.folder.rglob("*"))
        if path.is_file()
    }


def truth(clip):
    return json.loads(clip.ground_truth.read_text())


def pixels(clip, frame):
    with Image.open(clip.frame(frame)) as image:
        return np.asarray(image).astype(int)


def test_a_block_of_clips_is_rendered(rendered):
    assert rendered.code == ExitCode.OK, rendered.lines
    assert rendered.run.clips() == [0, 1, 2]
    assert rendered.left_over() == []
    assert damage(rendered.run.clip(0)) == []


def test_a_clip_has_the_files_that_the_contract_lists(rendered):
    clip = rendered.run.clip(0)
    frames = {f"rgb/frame_{i:05d}.png" for i in range(FRAMES)}
    others = {
        "actions_states/actions.npy",
        "actions_states/ground_truth_states.npy",
        "ground_truth.json",
        "preview.gif",
    }
    assert hashes(clip).keys() == frames | others | {"clip.json"}
    with Image.open(clip.frame(0)) as image:
        assert (image.size, image.mode, image.info) == ((SIZE, SIZE), "RGB", {})
    with Image.open(clip.preview) as gif:
        assert gif.n_frames == FRAMES - 1, "the two frames at rest are equal, and one is shown for longer"


def test_actions_are_the_impulse_at_its_frame_and_states_follow_it(rendered):
    clip = rendered.run.clip(0)
    actions, states = np.load(clip.actions), np.load(clip.states)
    assert (actions.dtype, actions.shape) == (np.float32, (FRAMES, 2))
    assert (states.dtype, states.shape) == (np.float32, (FRAMES, 2))
    impulse = truth(clip)["impulse"]
    assert actions[1] == pytest.approx((impulse["x"], impulse["y"]))
    assert not actions[[0, 2, 3]].any()
    assert (states[1] == states[0]).all()
    moved = states[2] - states[1]
    assert moved @ actions[1] > 0.99 * np.linalg.norm(moved) * np.linalg.norm(actions[1])


def test_the_ground_truth_says_what_the_clip_was_made_from(rendered):
    found = truth(rendered.run.clip(1))
    assert found["phase"] == "A1"
    assert 0.5 <= found["friction"] <= 0.9
    assert 0.5 <= found["mass"] <= 3
    assert 12 <= found["impulse"]["magnitude"] <= 13
    assert found["object"]["shape"] == "cube"
    assert found["video"]["samplesPerPixel"] == 4
    assert found["seed"]["index"] == 1
    assert found["versions"].keys() == {"clipfarm", "kubric", "bpy", "pybullet", "numpy"}
    assert np.array(found["camera"]["intrinsics"]).shape == (3, 3)
    assert np.array(found["camera"]["pose"]).shape == (4, 4)


def test_frames_at_rest_are_equal_and_later_ones_are_not(rendered):
    clip = rendered.run.clip(0)
    assert (pixels(clip, 0) == pixels(clip, 1)).all()
    assert (pixels(clip, 1) != pixels(clip, 2)).any()


@pytest.mark.parametrize("index", range(3))
def test_the_cube_is_seen_where_the_ground_truth_says(rendered, index):
    clip = rendered.run.clip(index)
    thing = truth(clip)["object"]
    for frame in (0, FRAMES - 1):
        top = np.array(thing["trajectory"]["positions"][frame])
        top[2] += thing["size"] / 2
        column, row = Camera(SIZE).project(top[None])[0].astype(int)
        colour = pixels(clip, frame)[row, column]
        # Everything else in the picture is close to grey.
        assert colour.max() - colour.min() > 60, (frame, column, row, colour)


def test_stages_are_timed_and_the_checks_are_kept(rendered):
    result = rendered.result(0)
    stages = {"import", "simulate", "render", "save"}
    assert result.seconds.keys() == stages | {"cycles", "total"}
    assert result.seconds["total"] >= sum(result.seconds[stage] for stage in stages)
    assert result.seconds["render"] >= result.seconds["cycles"] > 0
    assert 100 < result.peak_rss_mib < 2000
    manifest = ClipManifest.read(rendered.run.clip(0).manifest)
    assert manifest.renderer is None
    assert manifest.checks.keys() == {"frames", "at_rest", "moves", "in_view", "lit"}


def test_blenders_chatter_is_not_passed_on(rendered):
    assert len(rendered.lines) == 4, rendered.lines


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_recipe_gives_the_same_bytes(rendered, tmp_path, threads):
    again = Supervisor(tmp_path)(index=1, threads=threads)
    assert again.code == ExitCode.OK
    assert hashes(again.run.clip(1)) == hashes(rendered.run.clip(1))


def test_another_seed_gives_another_clip(rendered):
    assert truth(rendered.run.clip(0))["seed"] != truth(rendered.run.clip(1))["seed"]
    assert (pixels(rendered.run.clip(0), 0) != pixels(rendered.run.clip(1), 0)).any()


@pytest.mark.parametrize(("device", "kind"), [("cuda", "CUDA"), ("optix", "OPTIX")])
def test_without_a_gpu_a_gpu_device_fails_in_one_line(supervise, device, kind):
    ended = supervise(options=["--device", device])
    if ended.code == ExitCode.OK:
        pytest.skip(f"this machine has a {kind} GPU")
    assert ended.code == ExitCode.FAILED
    assert ended.result(0).reason == f"device {device}: Blender finds no {kind} GPU on this machine"
    assert ended.left_over() == []

"""An export for `lerobot` is what its own data set takes as it is."""

import json

import numpy as np
import pytest
from PIL import Image

from clipfarm_export.video import pixels_sha256
from helpers.exports import content, export
from helpers.readers import read
from helpers.run_folder import FRAMES, SIZE, make_run


@pytest.fixture(scope="module")
def episodes(a_run, tmp_path_factory):
    place = tmp_path_factory.mktemp("export") / "lerobot"
    done = export(a_run.root, place, form="lerobot")
    assert done.exit_code == 0, done.stderr
    return place


def test_lerobot_reads_every_frame_times_around_it_and_single_episodes(episodes, exported, a_run):
    found = read("lerobot", "episodes", episodes, exported)
    truths = [json.loads(a_run.clip(index).ground_truth.read_text()) for index in range(6)]
    states = np.concatenate([np.load(a_run.clip(index).states) for index in range(6)])
    assert found["frames"] == {f"clip_{index:05d}": pixels(a_run.clip(index)) for index in range(6)}
    assert found["splits"] == {"A1": "0:3", "slippery_floor": "3:6"}
    assert found["friction"] == [pytest.approx(truth["friction"], rel=1e-6) for truth in truths]
    assert found["state"] == states[7].tolist()
    assert found["positions"] == pytest.approx(truths[0]["object"]["trajectory"]["positions"][7])
    assert found["inner"] == [True] * 3
    assert found["padded"] == [True, False, False]
    assert found["some"] == [1, FRAMES, 3]
    assert found["batch"] == [4, 3, 3, SIZE, SIZE]
    assert found["task"] == "push: A1"
    assert found["decoded"]
    mean, deviation, low, high, count = found["stats"]["observation.state"]
    assert [mean, deviation] == [pytest.approx(each) for each in (states.mean(axis=0), states.std(axis=0))]
    assert [low, high, count] == [states.min(axis=0).tolist(), states.max(axis=0).tolist(), [6 * FRAMES]]


def test_episodes_count_on_where_a_clip_is_left_out(tmp_path):
    run = make_run(tmp_path / "run", 4)
    run.clip(1).frame(0).unlink()
    assert export(run.root, tmp_path / "out", form="lerobot").exit_code == 1
    info = json.loads((tmp_path / "out" / "meta" / "info.json").read_text())
    assert info["splits"] == {"A1": "0:1", "slippery_floor": "1:3"}
    assert (info["total_episodes"], info["total_frames"]) == (3, 3 * FRAMES)


def test_the_same_run_gives_the_same_bytes(episodes, a_run, tmp_path):
    assert export(a_run.root, tmp_path / "again", form="lerobot").exit_code == 0
    assert content(tmp_path / "again") == content(episodes)


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--video", "png"], "found png"), (["--layers", "depth"], "--layers")]
)
def test_what_lerobot_has_no_place_for_is_refused(tmp_path, arguments, said):
    run = make_run(tmp_path / "run", 1, layers=["rgb", "depth"])
    done = export(run.root, tmp_path / "out", *arguments, form="lerobot")
    assert (done.exit_code, said in done.stderr) == (2, True)


def pixels(clip):
    pictures = (np.asarray(Image.open(clip.frame(i))) for i in range(FRAMES))
    return pixels_sha256(pictures)

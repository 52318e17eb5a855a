"""``ClipDataset`` gives whole clips and windows of them, and names what it cannot give."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from clipfarm.data import ClipDataset, DataError
from clipfarm_contract.extraction import Extraction
from clipfarm_contract.layout import RunFolder
from helpers.clips import give_features, give_layers, make_clips

FRAMES, STEPS, TOKENS, WIDTH = 8, 4, 9, 6


def values(seed: int, steps: int = STEPS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(steps, TOKENS, WIDTH)).astype(np.float16)


@pytest.fixture
def run(tmp_path):
    """Three clips of phase A1 and two of B, all with features ``m``."""
    run = make_clips(tmp_path, frames=FRAMES, pictures=False, A1=3, B=2)
    for index in run.clips():
        give_features(run.clip(index), "m", values(index))
    return run


def test_an_item_is_the_dictionary_of_the_study(run):
    clips = ClipDataset(run.root)
    item = clips[2]
    assert len(clips) == 5
    assert list(item) == ["features", "actions", "states", "clip_name"]
    assert item["clip_name"] == "clip_00002"
    assert item["features"].dtype == np.float16
    assert np.array_equal(item["features"], values(2))
    assert np.array_equal(item["actions"], np.load(run.clip(2).actions))
    assert item["actions"][1].any()
    assert np.array_equal(item["states"], np.load(run.clip(2).states))


def test_what_an_item_holds_belongs_to_the_caller(run):
    clips = ClipDataset(run.root)
    clips[0]["features"][:] = 0
    clips[0]["states"][:] = 0
    assert np.array_equal(clips[0]["features"], values(0))


def test_clips_without_actions_have_neither_actions_nor_states(run):
    for index in run.clips():
        run.clip(index).actions.unlink()
    assert list(ClipDataset(run.root)[0]) == ["features", "clip_name"]


@pytest.mark.parametrize("index", [0, 3])
def test_a_clip_without_states_is_left_out_where_others_have_them(run, index):
    run.clip(index).states.unlink()
    clips = ClipDataset(run.root)
    assert clips.left_out == {f"clip_{index:05d}": "no actions and states"}
    assert {tuple(item) for item in clips} == {("features", "actions", "states", "clip_name")}


@pytest.mark.parametrize(
    ("window", "step", "starts"),
    [(4, None, [0]), (2, None, [0, 2]), (2, 1, [0, 1, 2]), (1, 2, [0, 2]), (3, None, [0]), (3, 1, [0, 1])],
)
def test_a_window_is_part_of_a_clip_with_the_frames_of_the_same_time(run, window, step, starts):
    clips = ClipDataset(run.root, window=window, step=step)
    assert [first for entry, first in clips.windows if entry.clip.name == "clip_00001"] == starts
    at = len(starts) + len(starts) - 1  # the last of clip 1
    first, states = starts[-1], np.load(run.clip(1).states)
    assert np.array_equal(clips[at]["features"], values(1)[first : first + window])
    assert np.array_equal(clips[at]["states"], states[2 * first : 2 * (first + window)])


def test_a_split_is_a_phase(run):
    assert [item["clip_name"] for item in ClipDataset(run.root, split="B")] == ["clip_00003", "clip_00004"]


def test_a_negative_index_counts_from_the_end_and_a_large_one_is_refused(run):
    clips = ClipDataset(run.root)
    assert clips[-1]["clip_name"] == "clip_00004"
    with pytest.raises(IndexError):
        clips[5]


def test_several_sets_are_a_dictionary(run):
    for index in run.clips():
        give_features(run.clip(index), "pooled", values(index)[:, :1])
    item = ClipDataset(run.root, ["m", "pooled"], window=2)[0]
    assert item["features"]["m"].shape == (2, TOKENS, WIDTH)
    assert item["features"]["pooled"].shape == (2, 1, WIDTH)


def test_a_layer_of_a_set_is_read_by_its_name(run):
    for index in run.clips():
        give_layers(run.clip(index), "deep", {"layer_08": values(index), "layer_16": values(index + 100)})
    assert np.array_equal(ClipDataset(run.root, "deep/layer_16")[1]["features"], values(101))


def test_a_grid_and_the_frames_of_tokens_say_how_time_goes_by(run):
    for index in run.clips():
        give_features(
            run.clip(index), "frame", values(index, 8), frames=8, grid=[8, 3, 3], frame_of_token=list(range(8))
        )
    item = ClipDataset(run.root, "frame", window=3)[1]
    assert item["features"].shape == (3, TOKENS, WIDTH)
    assert np.array_equal(item["states"], np.load(run.clip(0).states)[3:6])


@pytest.mark.parametrize(
    ("extraction", "stride"),
    [
        (Extraction(), 2),
        (Extraction("frame"), 1),
        (Extraction("frame", stride=2), 2),
        (Extraction("frame", stride=3), 3),
        (Extraction("prefix"), 2),
        (Extraction("prefix", stride=4), 4),
    ],
)
def test_a_window_has_the_frames_of_its_time_steps_in_every_context(run, extraction, stride):
    last = extraction.last_frames(FRAMES, 2)
    for index in run.clips():
        said = {"context": extraction.context, "stride": extraction.stride, "frame_of_token": last, "frames": FRAMES}
        give_features(run.clip(index), "set", values(index, len(last)), grid=[len(last), 3, 3], **said)
    item = ClipDataset(run.root, "set", window=1, step=1)[1]
    assert np.array_equal(item["states"], np.load(run.clip(0).states)[stride : 2 * stride])
    assert np.array_equal(item["features"], values(0, len(last))[1:2])


def test_without_features_a_time_step_is_a_frame(tmp_path):
    run = make_clips(tmp_path, frames=FRAMES, pictures=False, A=1)
    items = list(ClipDataset(run.root, window=3))
    assert [list(item) for item in items] == [["actions", "states", "clip_name"]] * 2
    assert np.array_equal(items[1]["states"], np.load(run.clip(0).states)[3:6])


def test_features_of_other_peoples_video_have_neither_states_nor_actions(tmp_path):
    for index in range(2):
        clip = RunFolder(tmp_path).clip(index)
        clip.folder.mkdir()
        give_features(clip, "m", values(index))
    assert list(ClipDataset(tmp_path)[0]) == ["features", "clip_name"]


def test_clips_without_the_features_are_left_out_with_the_reason(run):
    run.clip(1).features("m").unlink()
    whole = run.clip(3).features("m").read_bytes()
    run.clip(3).features("m").write_bytes(whole[:-2])
    clips = ClipDataset(run.root, "m")
    assert len(clips) == 3
    assert clips.left_out == {
        "clip_00001": "no features m yet",
        "clip_00003": f"{len(whole) - 2} bytes, expected {len(whole)}",
    }


def refused(*arguments, **options) -> str:
    with pytest.raises(DataError) as error:
        ClipDataset(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_be_is_refused_in_one_line(run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    root = run.root
    assert refused(empty) == f"{empty}: no clips, expected folders such as clip_00042, or an export"
    assert refused(root, split="C") == f"{root}: found no clips of phase 'C', expected one of ['A1', 'B']"
    assert refused(root, "n") == f"{root}: no clip can be read; clip_00000: no features n yet"
    assert refused(root, window=0) == "window: found 0, expected 1 or more"
    assert refused(root, window=9) == "window: found 9, but clips have at most 4 time steps"
    assert refused(root, step=1) == "step: found 1, expected 1 or more, with a window"
    give_features(run.clip(0), "n", values(0))
    assert refused(root) == f"{run.clip(0).folder}: found several feature sets, name one: m, n"
    give_layers(run.clip(0), "deep", {"layer_08": values(0), "layer_16": values(1)})
    assert "found deep, expected one of deep/layer_08, deep/layer_16" in refused(root, "deep")


def test_a_clip_that_goes_away_is_named(run):
    clips = ClipDataset(run.root)
    run.clip(1).features("m").unlink()
    with pytest.raises(DataError, match=r"clip_00001: .*No such file.*; it was readable when the data set was made"):
        clips[1]


def test_a_data_set_can_be_sent_to_other_processes(run):
    clips = pickle.loads(pickle.dumps(ClipDataset(run.root, window=2)))
    assert np.array_equal(clips[3]["features"], values(1)[2:])


def test_it_works_without_pytorch(run):
    code = "import sys; sys.modules['torch'] = None; import clipfarm.data as d; print(len(d.ClipDataset(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", code, run.root], capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"

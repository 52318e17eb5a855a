"""Features count if they are the clip's: its name, its frames, and the array that the sidecar describes."""

import errno
import json
import os

import numpy as np
import pytest

from clipfarm_contract import completing
from clipfarm_contract.clip import FileEntry
from clipfarm_contract.features import State, Wanted, frames_sha256, inspect
from clipfarm_contract.layout import Clip, RunFolder
from helpers.experiments import make_recipe

WANTED = Wanted("m", "float16", 32)
RECIPE = make_recipe(frames=4, resolution=32)
TOKENS = 4 // 2 * (32 // 16) ** 2


@pytest.fixture
def clip(tmp_path):
    """A complete clip of four frames, without features."""
    run = RunFolder(tmp_path)
    attempt = Clip(run.attempt(7, "1"))
    attempt.rgb.mkdir(parents=True)
    for i in range(4):
        attempt.frame(i).write_text(f"picture {i}")
    completing.complete(attempt.folder, run.clip(7), RECIPE, {})
    return run.clip(7)


@pytest.fixture
def give(clip):
    """Give the clip features; what is passed takes the place of what fits."""

    def give(array=None, **changes):
        array = np.zeros((TOKENS, 3), np.float16) if array is None else array
        clip.features("m").parent.mkdir(exist_ok=True)
        np.save(clip.features("m"), array)
        sha256 = frames_sha256(FileEntry.of(clip.frame(i)).sha256 for i in range(4))
        fitting = {"input": {"clip": "clip_00007", "sha256": sha256}, "shape": list(array.shape), "dtype": "float16"}
        sidecar = {"model": "m", "preprocessing": {"crop": 32}, "frames": 4} | fitting | changes
        sidecar = {name: value for name, value in sidecar.items() if value is not None}
        clip.features_sidecar("m").write_text(json.dumps(sidecar))

    return give


def test_features_of_the_clip_are_done(clip, give):
    give()
    assert inspect(clip, WANTED) == (State.DONE, "")


def test_features_of_before_that_do_not_name_their_clip_are_done(clip, give):
    give(input=None)
    assert inspect(clip, WANTED) == (State.DONE, "")


@pytest.mark.parametrize("sidecar", [{}, {"input": None}, {"input": None, "shape": None}])
def test_an_array_without_rows_is_to_be_made_again(clip, give, sidecar):
    give(np.zeros((0, 3), np.float16), **sidecar)
    assert inspect(clip, WANTED)[0] is State.ABSENT


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((TOKENS, 3), np.float32),
        np.zeros((TOKENS, 3), np.float64),
        np.zeros((TOKENS, 6), np.uint8),
        np.zeros((TOKENS, 3), np.int16),
        np.zeros((TOKENS, 4), np.float16),
        np.zeros((TOKENS * 3,), np.float16),
        np.float16(1),
    ],
)
def test_an_array_that_its_sidecar_does_not_describe_is_to_be_made_again(clip, give, array):
    give(np.asarray(array), shape=[TOKENS, 3])
    assert inspect(clip, WANTED)[0] is State.ABSENT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"input": {"clip": "clip_00001", "sha256": "0" * 64}},
            'made of "clip_00001" instead of "clip_00007"',
        ),
        ({"input": {"clip": "clip_00007", "sha256": "0" * 64}}, "made of other frames than the clip has now"),
        ({"input": {"clip": ["\x1b"], "sha256": 7}}, 'made of ["\\u001b"] instead of "clip_00007"'),
    ],
)
def test_features_of_another_clip_are_not_this_ones(clip, give, changes, reason):
    give(**changes)
    assert inspect(clip, WANTED) == (State.OTHER, reason)


@pytest.mark.parametrize("sidecar", [{}, {"input": None}])
@pytest.mark.parametrize("rows", [TOKENS * 2, TOKENS // 2])
def test_features_of_a_clip_of_another_length_are_not_this_ones(clip, give, rows, sidecar):
    give(np.zeros((rows, 3), np.float16), **sidecar)
    reason = f"an array of shape ({rows}, 3), expected 8 tokens of the clip's 4 frames"
    assert inspect(clip, WANTED) == (State.OTHER, reason)


def test_features_beside_a_mirror_are_compared_with_the_clip_that_was_encoded(clip, give, tmp_path):
    give()
    mirror = Clip(tmp_path / "mirror" / "clip_00007")
    mirror.folder.mkdir(parents=True)
    (clip.folder / "feature_maps").rename(mirror.folder / "feature_maps")
    assert inspect(mirror, WANTED, clip) == (State.DONE, "")
    give(input={"clip": "clip_00007", "sha256": "0" * 64})
    assert inspect(clip, WANTED)[0] is State.OTHER


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("name", ["m.npy", "m.json", "clip.json"])
def test_an_error_of_reading_says_nothing_of_the_features(clip, give, monkeypatch, name, number):
    give()
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith(name):
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    reason = f"{name}: {os.strerror(number)} ({errno.errorcode[number]})"
    assert inspect(clip, WANTED) == (State.UNREADABLE, reason)


@pytest.mark.parametrize("name", ["m.npy", "m.json"])
def test_a_fifo_in_their_place_is_not_waited_for(clip, give, name):
    give()
    (clip.folder / "feature_maps" / name).unlink()
    os.mkfifo(clip.folder / "feature_maps" / name)
    assert inspect(clip, WANTED)[0] is (State.ABSENT if name == "m.npy" else State.OTHER)

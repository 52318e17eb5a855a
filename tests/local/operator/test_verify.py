"""``clipfarm verify`` finds what changed, and makes clips again to compare them."""

import hashlib
import json
import sys

import numpy as np
import pytest

from helpers.local import clipfarm


@pytest.fixture
def made(local):
    local.clips = 4
    assert local.run().returncode == 0
    return local


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_whole_clips_have_no_problems(made):
    ran = clipfarm("verify", made.output)
    assert (ran.returncode, ran.stdout) == (0, "checked 4 clips and 0 feature files: no problems\n")


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda clip: flip_a_bit(clip / "seed.txt"), "clip 2: seed.txt: sha256 "),
        (lambda clip: (clip / "seed.txt").unlink(), "clip 2: seed.txt: missing"),
        (lambda clip: (clip / "new.txt").touch(), "clip 2: new.txt: not part of the clip"),
        (lambda clip: (clip / "clip.json").unlink(), "clip 2: clip.json: missing"),
        (lambda clip: (clip / "clip.json").write_text("{"), "clip 2: clip.json: not JSON"),
        (lambda clip: (clip / "clip.json").write_text("{}"), "clip 2: clip.json.version: missing"),
    ],
)
def test_whatever_changed_is_named(made, harm, line):
    harm(made.output / "clip_00002")
    ran = clipfarm("verify", made.output)
    assert ran.returncode == 1
    assert ran.stdout.startswith(line)
    assert ran.stdout.endswith("checked 4 clips and 0 feature files: 1 problem\n")


def test_features_are_held_against_their_sidecar(made):
    folder = made.output / "clip_00001" / "feature_maps"
    folder.mkdir()
    (folder / "m.npy").write_bytes(b"features")
    ran = clipfarm("verify", made.output)
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (
        1,
        "clip 1: feature_maps/m.npy: no m.json beside it",
    )
    (folder / "m.json").write_text('{"sha256": "0", "clipfarm": "0.1.0"}')
    assert "m.npy: it does not begin as a .npy file does" in clipfarm("verify", made.output).stdout
    np.save(folder / "m.npy", np.zeros((8, 3), np.float16))
    assert "m.npy: sha256 is not the one in m.json" in clipfarm("verify", made.output).stdout


@pytest.mark.parametrize(
    "array", [np.zeros(5, np.int64), np.asfortranarray(np.zeros((3, 4)))], ids=["int64", "columns"]
)
def test_of_features_that_another_program_made_only_the_hash_is_compared(made, array):
    folder = made.output / "clip_00001" / "feature_maps"
    folder.mkdir()
    np.save(folder / "dino.npy", array)
    sha256 = hashlib.sha256((folder / "dino.npy").read_bytes()).hexdigest()
    told = {"model": "dino", "sha256": sha256, "dtype": "float64", "preprocessing": {"crop": 224}}
    (folder / "dino.json").write_text(json.dumps(told))
    ran = clipfarm("verify", made.output)
    assert ran.returncode == 0, ran.stdout


def test_clips_made_again_by_the_same_renderer_have_the_same_bytes(made):
    ran = clipfarm("verify", made.output, "--rerender", 2, env={"FAKE_FOLDER": str(made.script_folder)})
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.splitlines()[1:] == [f"clip {i}, made again: every byte is the same" for i in (0, 2)]


def test_a_renderer_whose_bytes_change_is_found_out(local):
    local.clips = 1
    local.spec["render"] = {"command": [sys.executable, "-c", 'import os; open(os.environ["CLIP_DIR"] + "/a", "wb")'
                                        ".write(os.urandom(9))"]}  # fmt: skip
    assert local.run().returncode == 0
    ran = clipfarm("verify", local.output, "--rerender", 1)
    assert (ran.returncode, ran.stdout.splitlines()[1:]) == (1, ["clip 0, made again: different", "  a differs"])


def test_a_folder_without_clips_is_a_usage_error(tmp_path):
    ran = clipfarm("verify", tmp_path)
    assert (ran.returncode, ran.stderr) == (2, f"{tmp_path}: no clips, expected folders such as clip_00042\n")
    ran = clipfarm("verify", tmp_path / "no")
    assert (ran.returncode, ran.stderr) == (2, f"{tmp_path / 'no'}: not a folder\n")

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from clipfarm_contract.layout import RunFolder
from clipfarm_encode import cli, encode_single_clip, get_encoder
from clipfarm_encode.files.clips import ClipError
from clipfarm_encode.models.vjepa2.network import CONFIGS, random_state
from helpers.videos import make_video
from unit.encode.made_up import make_clip, make_frames

pytestmark = pytest.mark.torch

MODEL = "vjepa2_tiny16"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Thread variables that the command sets stay in the test."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.fixture
def encode(tmp_path, capsys):
    """Run the command on ``tmp_path / "run"`` and return exit status, output and errors."""

    def run(*arguments, data_dir=tmp_path / "run", place=("--in_place",)):
        options = ["--data_dir", str(data_dir), *place, "--model", MODEL, "--weights", "random"]
        code = cli.run([*options, "--crop_size", "32", "--device", "cpu", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def run_folder(tmp_path):
    for i in range(5):
        make_clip(tmp_path / "run", i)
    return RunFolder(tmp_path / "run")


def features(run):
    return {path.relative_to(run.root): path.read_bytes() for path in sorted(run.root.rglob("feature_maps/*"))}


def test_every_clip_gets_its_features_and_a_sidecar(encode, run_folder):
    code, out, err = encode()
    assert (code, err) == (0, "")
    for i in range(5):
        array = np.load(run_folder.clip(i).features(MODEL))
        assert (array.shape, array.dtype) == ((8, 192), np.float16)
        sidecar = json.loads(run_folder.clip(i).features_sidecar(MODEL).read_text())
        assert sidecar["shape"] == [8, 192]
    assert "5 encoded, 0 skipped, 0 failed of 5" in out
    assert "mean nothing" in out
    assert "mean nothing" in sidecar["weights"]["note"]


def test_the_same_clips_give_the_same_bytes_whatever_the_batch(encode, run_folder):
    encode("--batch_size", 4)
    first = features(run_folder)
    assert len(first) == 10
    for size in (1, 3):
        encode("--batch_size", size, "--overwrite")
        assert features(run_folder) == first


def test_clips_with_features_are_skipped_and_only_missing_ones_made(encode, run_folder):
    encode()
    before = features(run_folder)
    run_folder.clip(2).features(MODEL).unlink()
    untouched = run_folder.clip(1).features(MODEL).stat().st_mtime_ns
    code, out, _ = encode()
    assert (code, features(run_folder)) == (0, before)
    assert run_folder.clip(1).features(MODEL).stat().st_mtime_ns == untouched
    assert "1 encoded, 4 skipped, 0 failed of 5" in out


def test_features_made_otherwise_stop_the_command_before_it_starts(encode, run_folder):
    encode("--limit", 2)
    before = features(run_folder)
    code, _, err = encode("--dtype", "fp32")
    assert code == 2
    assert err.startswith("clipfarm-encode: clip_00000 has features already, made with dtype float16 instead of")
    assert "and 1 more" in err
    assert "--overwrite" in err
    assert err.count("\n") == 1
    assert features(run_folder) == before
    code, _, _ = encode("--dtype", "fp32", "--overwrite")
    assert code == 0
    assert np.load(run_folder.clip(0).features(MODEL)).dtype == np.float32


def test_the_limit_counts_clips_that_need_features(encode, run_folder):
    for expected in (2, 4, 5):
        encode("--limit", 2)
        assert len(features(run_folder)) == 2 * expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "dino_base"), "model: dino_base is unknown, expected vjepa2_vitl16 or another V-JEPA 2, or timm:"),
        (("--model", "vjepa2_huge"), "model: vjepa2_huge is none of vjepa2_vitl16, "),
        (("--weights", "gone.pt"), "gone.pt: no such file or folder"),
        (("--weights", "noise.pt"), "noise.pt: not a PyTorch file with nothing but weights"),
        (("--weights", "larger.pt"), "larger.pt: key blocks.4.attn.proj.bias belongs to no part of the model, and "),
        (("--weights-sha256", "ab" * 32), "random: SHA-256 is "),
        (("--device", "cuda:99"), "device: cuda:99 is not there"),
        (("--videos", "nowhere", "--weights", "gone.pt"), "--videos: nowhere: not found, expected a video or a folder"),
    ],
)
@pytest.mark.parametrize("instead", [(), ("--check",)], ids=["videos", "check"])
def test_what_is_wrong_with_a_model_is_found_before_the_first_video_is_cut(
    arguments, message, instead, encode, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "videos" / "x.mp4", frames=8)
    (tmp_path / "noise.pt").write_bytes(b"no weights")
    larger = random_state(replace(CONFIGS[MODEL], layers=6), 0)
    kernel = (CONFIGS[MODEL].width, 3, 2, 16, 16)  # as published
    larger["patch_embed.proj.weight"] = larger["patch_embed.proj.weight"].reshape(kernel)
    torch.save({"target_encoder": larger}, "larger.pt")
    (tmp_path / "run").mkdir()
    code, out, err = encode("--videos", "videos", "--clip-frames", "4", *arguments, *instead)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"clipfarm-encode: {message}")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_stride_that_is_longer_than_the_clips_of_videos_is_refused_before_they_are_cut(encode, tmp_path):
    (tmp_path / "run").mkdir()
    options = ("--videos", tmp_path, "--clip-frames", 8, "--context", "prefix", "--name", "x", "--stride")
    assert encode(*options, 10) == (
        2,
        "",
        "clipfarm-encode: --stride: found 10, expected 8 or less, the frames of a clip\n",
    )
    assert list((tmp_path / "run").iterdir()) == []


def test_a_check_loads_the_models_and_does_nothing_else(encode, run_folder):
    assert encode("--check") == (0, "", "")
    assert features(run_folder) == {}


def test_features_go_into_a_mirror_of_the_folders(encode, run_folder, tmp_path):
    code, _, _ = encode(place=("--out-dir", str(tmp_path / "out" / "features")))
    assert code == 0
    assert features(run_folder) == {}
    assert len(list((tmp_path / "out" / "features").rglob("clip_*/feature_maps/*.npy"))) == 5
    code, out, _ = encode(place=("--out-dir", str(tmp_path / "out" / "features")))
    assert "0 encoded, 5 skipped" in out


def test_bad_clips_are_named_and_the_others_of_their_batch_are_encoded(encode, run_folder, tmp_path):
    clip = run_folder.clip(1)
    clip.frame(2).write_bytes(clip.frame(2).read_bytes()[:100])
    (run_folder.root / "clip_00007").mkdir()
    make_frames(run_folder.root / "clip_00008", frames=3)
    make_frames(run_folder.root / "clip_00009", frames=2)
    make_clip(run_folder.root, 10, size=20)
    make_frames(run_folder.root / "clip_00011", frames=2)
    for frame in run_folder.clip(11).rgb.iterdir():
        Image.new("RGB", (99, 3)).save(frame)
    log = tmp_path / "log.json"
    code, out, _ = encode("--log_json", log)
    assert code == 1
    document = json.loads(log.read_text())
    assert [failure["clip"] for failure in document["failures"]] == [
        *("clip_00001", "clip_00007", "clip_00008", "clip_00011")
    ]
    assert document["failures"][0]["reason"].startswith("rgb/frame_00002.png: 100 bytes, expected ")
    assert document["clips"] == {"found": 10, "waiting": 0, "encoding": 0, "encoded": 6, "skipped": 0, "failed": 4}
    assert "clip_00007 failed: rgb: missing\n" in out
    assert "clip_00008 failed: rgb: 3 frames; the model takes 2 at a time\n" in out
    thin = "rgb: pictures of 99 x 3 pixels, expected a long side of at most 32 times the short one"
    assert document["failures"][3]["reason"] == thin
    assert "4 of 10 clips have no clip.json" in out
    assert np.load(run_folder.clip(9).features(MODEL)).shape == (4, 192)


def test_a_single_clip_with_half_a_time_step_is_refused(tmp_path):
    make_frames(tmp_path / "clip_00000", frames=3)
    encoder = get_encoder(MODEL, "random", "cpu", crop_size=32)
    with pytest.raises(ClipError, match="rgb: 3 frames; the model takes 2 at a time"):
        encode_single_clip(encoder, tmp_path / "clip_00000")


def test_a_disk_that_is_full_fails_the_clip_and_leaves_no_part_of_a_file(encode, run_folder, monkeypatch):
    from clipfarm_encode.files import features as module

    place = module.place

    def full(temporary, path):
        if "clip_00003" in str(path):
            raise OSError(28, "No space left on device", str(path))
        place(temporary, path)

    monkeypatch.setattr(module, "place", full)
    code, out, _ = encode()
    assert code == 1
    assert "No space left on device" in out
    assert not run_folder.clip(3).features(MODEL).exists()
    assert len(list(run_folder.root.rglob("feature_maps/*.npy*"))) == 4


def test_a_clip_that_vanishes_while_it_waits_is_named(encode, run_folder, monkeypatch):
    from clipfarm_encode import pipeline

    read = pipeline.Decoders.read

    def vanish(decoders, clip):
        if clip.folder.name == "clip_00002":
            shutil.rmtree(clip.folder)
        return read(decoders, clip)

    monkeypatch.setattr(pipeline.Decoders, "read", vanish)
    code, out, _ = encode()
    assert code == 1
    assert "clip_00002 failed: its folder is gone" in out
    assert not (run_folder.root / "clip_00002").exists()


def test_the_log_holds_what_other_programs_read(encode, run_folder, tmp_path):
    encode("--log-json", tmp_path / "log.json")
    document = json.loads((tmp_path / "log.json").read_text())
    assert document.keys() == {
        *("model", "weights", "device", "dtype", "state", "clips", "failures", "seconds"),
        *("clips_per_second", "devices", "foreign", "absent", "sets"),
    }
    assert (document["foreign"], document["absent"]) == (0, None)
    assert document["state"] == "finished"
    assert (document["model"], document["device"], document["dtype"]) == (MODEL, "cpu", "float16")
    assert document["weights"].keys() == {"source", "sha256", "key", "note"}
    assert document["seconds"].keys() == {"io", "preprocess", "encode", "save", "total"}
    assert document["seconds"]["encode"] > 0
    assert document["clips_per_second"] > 0
    assert list(tmp_path.glob(".log.json.*")) == []


def test_an_empty_folder_is_fine(encode, tmp_path):
    (tmp_path / "run").mkdir()
    code, out, _ = encode()
    assert code == 0
    assert "0 encoded, 0 skipped, 0 failed of 0" in out


TINY = ["--in_place", "--model", MODEL, "--weights", "random"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--in_place", "--out_dir", "o"], "one of --in-place and --out-dir is needed, and not both"),
        ([], "one of --in-place and --out-dir is needed"),
        (["--in_place"], "--weights is needed"),
        (["--in_place", "--weights", "random", "--crop_size", "50"], "crop_size: 50 is not a multiple of 16"),
        (["--in_place", "--weights", "random", "--model", "vitl"], "model: vitl is unknown, expected"),
        (["--in_place", "--weights", "nowhere.pt"], "nowhere.pt: no such file or folder"),
        (["--in_place", "--weights", "random", "--device", "cuda"], "device: cuda is not there"),
        (["--in_place", "--weights", "random", "--dtype", "fp8"], "fp8"),
        (["--in_place", "--weights", "random", "--batch_size", "0"], "0 is not in the range"),
        ([*TINY, "--clips", "0-9,b"], '--clips: found "b", expected ranges such as 0-99,105'),
        ([*TINY, "--clips", ""], "--clips: found no clip, expected ranges"),
        ([*TINY, "--clips", "0-" + "9" * 30], '--clips: found "0-9999'),
        ([*TINY, "--clips", "9" * 5000], '--clips: found "9999'),
        ([*TINY, "--crop_size", "1000000000"], "1000000000 is not in the range 14<=x<=1024"),
        ([*TINY, "--batch_size", "1000000000"], "1000000000 is not in the range 1<=x<=1024"),
        ([*TINY, "--batch_wait", "nan"], "'nan' is not a number of seconds"),
        ([*TINY, "--stale_after", "inf"], "inf is not in the range"),
        (["--bogus"], "--bogus"),
        (["--data_dir", "nowhere", "--in_place"], "nowhere"),
    ],
)
def test_wrong_usage_is_one_line_and_2(tmp_path, capsys, monkeypatch, arguments, message):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code = cli.run(["--data_dir", str(tmp_path), *arguments])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("clipfarm-encode: ")
    assert err.count("\n") == 1


def test_a_thread_variable_that_is_no_number_is_named(tmp_path, capsys):
    os.environ["OMP_NUM_THREADS"] = "many"
    code = cli.run(["--data_dir", str(tmp_path), "--in_place", "--weights", "random"])
    assert code == 2
    assert "OMP_NUM_THREADS: found 'many'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "variable", "expected"),
    [(None, None, None), (3, None, "3"), (None, "5", "5"), (3, "5", "3")],
)
def test_threads_are_those_asked_for_then_the_variables_then_the_cpus(asked, variable, expected):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.pop(name, None)
    if variable:
        os.environ["OMP_NUM_THREADS"] = variable
    cli._limit_threads(asked)
    assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == (expected or str(cli.available_cpus()))

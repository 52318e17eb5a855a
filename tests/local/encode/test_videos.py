"""``clipfarm encode`` as a person calls it, with real encoders."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clipfarm_contract.layout import RunFolder
from clipfarm_encode import get_encoder
from clipfarm_encode.files.clips import read_clip
from helpers.videos import make_pictures, make_video

pytestmark = pytest.mark.torch

MODEL = "vjepa2_tiny16"


def encode(*arguments: str) -> tuple[int, list[str]]:
    return clipfarm("encode", *arguments)


def clipfarm(*arguments: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "clipfarm.cli.main", *arguments]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_several_encoders_make_the_features_of_videos_and_the_next_call_finds_new_ones(tmp_path: Path):
    videos, folder = tmp_path / "videos", RunFolder(tmp_path / "out")
    make_video(videos / "a.mp4", frames=24)
    make_pictures(videos / "walk")
    (videos / "noise.webm").write_bytes(b"no video")
    options = ("--frames", "4", "--model", MODEL, "--weights", "random", "--crop-size", "32")
    call = (str(videos), "--output", str(folder.root), *options)
    code, said = encode(*call, "--replicas", "2")
    assert code == 1  # for the one that is no video
    assert "clipfarm encode: noise.webm: passed over: Invalid data found when processing input" in said
    assert "clipfarm encode: 3 videos, 1 of them passed over: 9 clips" in said
    assert [line.partition(":")[0] for line in said[-2:]] == ["clipfarm encode"] * 2
    assert all("Finished" in line for line in said[-2:])
    encoder = get_encoder(MODEL, "random", "cpu", crop_size=32)
    clips = [folder.clip(i) for i in range(9)]
    expected = [next(encoder.encode([encoder.prepare(read_clip(clip).frames)])) for clip in clips]
    assert [np.load(clip.features(MODEL)).tobytes() for clip in clips] == [each.tobytes() for each in expected]
    (videos / "noise.webm").unlink()
    make_video(videos / "b.webm", frames=4)
    assert encode(*call, "--no-encode") == (0, ["clipfarm encode: 3 videos, 0 of them passed over: 10 clips"])
    assert not folder.clip(9).features(MODEL).exists()


RUN = """
apiVersion: clipfarm.dev/v1alpha1
kind: BenchmarkRun
metadata: {name: robot}
spec:
  source: {videos: {folder: videos, claimName: robot-videos, frames: 4, stride: 8, frameRate: 15}}
  encode: {model: vjepa2_tiny16, cropSize: 32, weights: {source: random}}
"""


def test_a_run_file_with_videos_makes_what_the_command_makes(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "videos" / "a.mp4", frames=24)
    Path("run.yaml").write_text(RUN)
    code, said = clipfarm("plan", "run.yaml")
    assert (code, said[:2]) == (0, [
        "run robot: clips of the videos in videos; how many they give is known when they are listed",
        "  4 frames a clip, one every 8 frames; 15 frames a second",
    ])  # fmt: skip
    code, said = clipfarm("local", "run.yaml", "--output", "out", "--test", "--page-port", "0")
    assert (code, said) == (2, ["--test, --page-port: expected only with an experiment; this run has a source"])
    Path("noise.pt").touch()
    Path("noise.yaml").write_text(RUN.replace("source: random", "source: noise.pt"))
    code, said = clipfarm("local", "noise.yaml", "--output", "none")
    assert (code, len(said), said[0].partition(" (")[0]) == (
        2, 1, "clipfarm-encode: noise.pt: not a PyTorch file with nothing but weights"
    )  # fmt: skip
    assert not list(Path("none").glob("clip_*")), "nothing is cut"
    assert clipfarm("local", "run.yaml", "--output", "out")[0] == 0
    options = ("--frames", "4", "--stride", "8", "--fps", "15", "--model", MODEL, "--weights", "random")
    assert encode("videos", "--output", "other", *options, "--crop-size", "32")[0] == 0
    made, other = ({path.relative_to(root): path.read_bytes() for path in root.rglob("clip_*/**/*") if path.is_file()}
                   for root in (Path("out"), Path("other")))  # fmt: skip
    assert made == other
    assert sorted(map(str, made)) == [
        "clip_00000/feature_maps/vjepa2_tiny16.json", "clip_00000/feature_maps/vjepa2_tiny16.npy",
        "clip_00000/video.json", "clip_00001/feature_maps/vjepa2_tiny16.json",
        "clip_00001/feature_maps/vjepa2_tiny16.npy", "clip_00001/video.json",
    ]  # fmt: skip
    assert Path("out/.clipfarm/videos.json").read_bytes() == Path("other/.clipfarm/videos.json").read_bytes()

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
    command = [sys.executable, "-m", "clipfarm.cli.main", "encode", *arguments]
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

"""The example of a renderer of one's own, run as its README says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.examining import damage
from clipfarm_contract.layout import RunFolder
from helpers.local import CLIPFARM, clipfarm

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "own-renderer"


def run(run_file, output):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [*CLIPFARM, "local", str(run_file), "--output", str(output)]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )


def test_the_example_is_short():
    assert len((EXAMPLE / "bouncing_ball.py").read_text().splitlines()) < 60


def test_its_clips_are_complete_with_its_own_checks_and_made_again_to_the_byte(tmp_path):
    ran = run(EXAMPLE / "run.yaml", output := tmp_path / "discs")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    folder = RunFolder(output)
    assert folder.clips() == [0, 1, 2, 3]
    for clip in map(folder.clip, folder.clips()):
        assert damage(clip) == []
        manifest = ClipManifest.read(clip.manifest)
        assert manifest.renderer == ("python", "examples/own-renderer/bouncing_ball.py")
        assert manifest.checks["way"] > 0.05
        states, actions = np.load(clip.states), np.load(clip.actions)
        assert states.shape == actions.shape == (16, 2)
        with Image.open(clip.frame(15)) as picture:
            assert picture.size == (128, 128)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    again = subprocess.run(
        [*CLIPFARM, "verify", str(output), "--rerender", "1"],
        cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.stdout.splitlines()[-1] == "clip 0, made again: every byte is the same"


def test_a_check_of_its_own_that_fails_is_the_clips_reason(tmp_path):
    document = yaml.safe_load((EXAMPLE / "run.yaml").read_text())
    document["spec"]["clips"]["end"] = 0
    document["spec"]["experiment"]["impulse"] = {"min": 0.001, "max": 0.002}
    (slow := tmp_path / "slow.yaml").write_text(yaml.safe_dump(document))
    ran = run(slow, output := tmp_path / "discs")
    assert ran.returncode == 1
    report = json.loads((output / "report.json").read_text())
    (failure,) = report["failures"]
    assert failure["reason"].startswith("way: the disc moves 0.000 of the picture's width")
    assert RunFolder(output).clips() == []


def test_a_clip_of_it_is_reproduced_by_the_command_for_one_clip(tmp_path):
    output = tmp_path / "discs"
    assert run(EXAMPLE / "run.yaml", output).returncode == 0
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [*CLIPFARM, "clip", str(output), "2"]
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "clip 2, made again: every byte is the same\n")
    assert clipfarm("clip", output, 77).returncode == 2

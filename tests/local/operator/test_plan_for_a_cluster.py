"""A run for a cluster is planned on a machine that could not do it: a laptop with nothing but the commands."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from helpers.local import clipfarm

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "run.yaml"


@pytest.fixture(scope="module")
def commands_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment with what docs/install.md has a laptop install, and no other package of ours."""
    named = re.findall(r"`pip install (.*?)`", (ROOT / "docs" / "install.md").read_text())
    assert [set(line.split()) for line in named] == [{"./operator", "./contract"}]
    folder = tmp_path_factory.mktemp("commands") / "venv"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipfarm"
    version = re.search(r"^UV_VERSION=(.*)$", (ROOT / "tools" / "setup").read_text(), re.M)
    assert version
    done = subprocess.run(
        [cache / f"uv-{version[1]}" / "bin" / "uv", "sync", "--quiet", "--frozen", "--no-dev", "--no-editable",
         "--package", "clipfarm"],
        cwd=ROOT,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return folder / "bin" / "clipfarm"


def run_file(folder: Path, weights: str) -> Path:
    manifest = yaml.safe_load(EXAMPLE.read_text())
    manifest["spec"]["encode"] |= {"model": "vjepa2_vitl16", "weights": {"source": weights}}
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(manifest))
    return path


def test_weights_on_the_clusters_volume_are_explained_and_no_mistake(tmp_path: Path):
    ran = clipfarm("plan", run_file(tmp_path, "/clips/weights/vitl.pt"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "run friction: 17000 clips" in ran.stdout
    assert (
        "`clipfarm local` cannot do it here: spec.encode.weights.source: found '/clips/weights/vitl.pt', expected a"
        " file or folder that exists, or random; in a cluster /clips is the run's volume, and this has to be on it"
    ) in ran.stdout.splitlines()
    assert "starts now" not in ran.stdout
    refused = clipfarm("local", run_file(tmp_path, "/clips/weights/vitl.pt"), "--output", tmp_path / "out")
    assert refused.returncode == 2


def test_a_renderer_in_an_image_of_its_own_is_explained_and_no_mistake(tmp_path: Path):
    manifest = yaml.safe_load(EXAMPLE.read_text())
    manifest["spec"]["render"] = {"image": "example.com/renderer:1", "command": ["/opt/renderer", "--fast"]}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(manifest))
    ran = clipfarm("plan", path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (
        '`clipfarm local` cannot do it here: spec.render.command: found "/opt/renderer", expected a program that can be'
        " started: there is no such file; in a cluster it has to be in example.com/renderer:1"
    ) in ran.stdout.splitlines()


@pytest.mark.parametrize("source", ["/models/vitl.pt", "/clips", "/clipsandmore/vitl.pt", "vitl.pt"])
def test_weights_that_neither_this_machine_nor_the_volume_has_are_a_mistake(tmp_path: Path, source: str):
    ran = clipfarm("plan", run_file(tmp_path, source))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"spec.encode.weights.source: found {source!r}, expected a file or folder that exists, random, or a path below"
        " /clips for a cluster\n"
    )


@pytest.mark.parametrize("weights", ["random", "/clips/weights/vitl.pt"])
def test_the_commands_alone_plan_a_run_and_say_what_local_lacks(commands_only: Path, tmp_path: Path, weights: str):
    command = [commands_only, "plan", run_file(tmp_path, weights)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (
        "`clipfarm local` cannot do it here: not installed: clipfarm_render, clipfarm_encode (`make setup`);"
        " in a cluster they are in the images"
    ) in ran.stdout.splitlines()
    assert f"encoder: vjepa2_vitl16, weights {weights}, batches of 4" in ran.stdout


def test_the_commands_alone_print_the_objects_of_a_run(commands_only: Path, tmp_path: Path):
    command = [commands_only, "plan", "--manifests", EXAMPLE]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {"ConfigMap", "Job", "Deployment"} == {each["kind"] for each in yaml.safe_load_all(ran.stdout)}

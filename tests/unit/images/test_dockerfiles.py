"""The Dockerfiles against what they repeat, and the list of licences against the lock file."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clipfarm.manifests.common import USER

ROOT = Path(__file__).parents[3]
DOCKERFILES = {name: ROOT / folder / "Dockerfile" for name, folder in
               {"operator": "operator", "render": "images/render", "encode": "images/encode",
                "export": "images/export"}.items()}  # fmt: skip
SETUP = (ROOT / "tools" / "setup").read_text()


def variable(name: str) -> str:
    found = re.search(rf'^{name}="?([^"\n]+)"?$', SETUP, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_are_built_with_the_uv_of_the_set_up(name: str):
    assert f"ARG UV_VERSION={variable('UV_VERSION')}\n" in DOCKERFILES[name].read_text()


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_run_as_the_user_that_pods_run_as(name: str):
    text = DOCKERFILES[name].read_text()
    assert f"USER {USER}:{USER}\n" in text
    assert f"groupadd --gid {USER} " in text
    assert f"useradd --uid {USER} --gid {USER} " in text


def test_images_have_one_base_that_is_pinned_by_its_digest():
    [base] = {
        line for path in DOCKERFILES.values() for line in path.read_text().splitlines() if line.startswith("ARG BASE")
    }
    assert re.fullmatch(r"ARG BASE_IMAGE=python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_bill_of_materials_is_of_what_the_image_installs(name: str):
    exports = [line for line in DOCKERFILES[name].read_text().replace("\\\n", " ").splitlines() if "uv export" in line]
    installed, listed = (re.findall(r"--(?:package|no-emit-package) \S+", part) for part in exports[0].split("&&"))
    assert installed == listed


def test_the_render_image_has_the_libraries_that_blender_needs_on_a_bare_debian():
    last = DOCKERFILES["render"].read_text().rpartition("\nFROM ")[2]
    assert set(variable("PACKAGES").split()) <= set(last.split())


def test_the_compiler_of_kernels_runs_with_just_the_files_that_its_stage_copies(tmp_path: Path):
    stage = DOCKERFILES["render"].read_text().partition(" AS kernels\n")[2].partition("\nFROM ")[0].replace("\\\n", " ")
    copies = [line.split()[1:] for line in stage.splitlines() if line.startswith("COPY") and "--from" not in line]
    assert len(copies) == 2
    for *files, folder in copies:
        (into := tmp_path / folder.lstrip("/")).mkdir(parents=True)
        for file in files:
            shutil.copy(ROOT / file, into)
    program = [sys.executable, "-m", "clipfarm_render.kernels", "--help"]
    environment = {"PYTHONPATH": str(tmp_path / "compiler"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert "--into" in done.stdout


def test_the_list_of_licences_is_what_the_lock_file_says():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "licences", "--check"], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr

"""Runs the real supervisor as its users do: as a process, with a tiny program in place of Blender, or with Blender."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipfarm_contract.environment import THREAD_COUNT_VARIABLES
from clipfarm_contract.experiment import LAYERS, SHAPES
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.result import ClipResult
from helpers.experiments import TINY

EVERYTHING = TINY | {"objects": list(SHAPES), "layers": list(LAYERS), "background": "cached"}
SEED_OF_ALL = 38
"""With it, the first five clips show five objects."""


@dataclass(frozen=True)
class Ended:
    """A supervisor that has ended."""

    code: int
    lines: list[str]
    run: RunFolder

    def result(self, index):
        return ClipResult.read(self.run.result(index))

    def left_over(self):
        """What is in the run's folder but clips and the run's own files."""
        return [entry.name for entry in self.run.root.iterdir() if entry.name.startswith(".clip_")]


class Supervisor:
    """Starts supervisors on one folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.run = RunFolder(folder / "out")

    def command(self, *program, index=0, count=1, experiment=TINY, seed=0, options=()):
        file = self.folder / "experiment.json"
        file.write_text(json.dumps(experiment))
        command = [sys.executable, "-m", "clipfarm_render", "--output", str(self.run.root), "--seed", str(seed)]
        command += ["--count", str(count), "--experiment", str(file), *map(str, options)]
        command += ["--index", str(index)] if index is not None else []
        return command + (["--", *map(str, program)] if program else [])

    def start(self, *program, **how):
        return subprocess.Popen(
            self.command(*program, **how), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
        )

    def __call__(self, *program, threads=None, **how):
        done = subprocess.run(
            self.command(*program, **how),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(threads),
            timeout=120,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode().splitlines(), self.run)


def environment(threads=None):
    inherited = {name: value for name, value in os.environ.items() if name not in THREAD_COUNT_VARIABLES}
    return inherited | ({"OMP_NUM_THREADS": str(threads)} if threads else {})


def python(code):
    """A child that is one line of Python."""
    return sys.executable, "-c", f"import os, pathlib, signal, sys, time; folder = os.environ['CLIP_DIR']; {code}"


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def supervise(tmp_path):
    return Supervisor(tmp_path)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    """Three clips of a tiny run, made by Blender once for all tests."""
    supervisor = Supervisor(tmp_path_factory.mktemp("rendered"))
    return supervisor(count=3, threads=1, options=["--termination_message", supervisor.folder / "message"])


@pytest.fixture(scope="session")
def everything(tmp_path_factory):
    """Five clips with one object each, all layers, and a background made once; by one thread, in one block."""
    supervisor = Supervisor(tmp_path_factory.mktemp("everything"))
    return supervisor(count=5, threads=1, experiment=EVERYTHING, seed=SEED_OF_ALL)

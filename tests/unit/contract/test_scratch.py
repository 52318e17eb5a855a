"""A folder for temporary files goes with its owner; what a killed one leaves, the next sweeps."""

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from clipfarm_contract import scratch
from clipfarm_contract.scratch import Scratch

HOLD = "import sys; from clipfarm_contract.scratch import Scratch; print(Scratch().path, flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(scratch, "YOUNG_SECONDS", -1)
    return tmp_path


@pytest.fixture
def owner():
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    yield process
    process.kill()
    process.communicate()


def test_it_is_removed_at_the_end_whatever_is_in_it(here):
    with Scratch() as made:
        (made.path / "a" / "b").mkdir(parents=True)
        (made.path / "a").chmod(0)
        assert list(here.iterdir()) == [made.path]
    assert list(here.iterdir()) == []


def test_that_of_a_killed_process_is_swept_and_that_of_a_living_one_stays(here, owner):
    path = here / owner.stdout.readline().strip()
    with Scratch() as ours:
        scratch.sweep()
        assert sorted(here.iterdir()) == sorted([path, ours.path])
        owner.send_signal(signal.SIGKILL)
        owner.wait(30)
        scratch.sweep()
        assert list(here.iterdir()) == [ours.path]


def test_what_is_not_ours_or_has_just_been_made_stays(here, monkeypatch):
    (here / f"{scratch.PREFIX}file").touch()
    (here / f"{scratch.PREFIX}link").symlink_to(here)
    (here / "clipfarm-else").mkdir()
    scratch.sweep()
    assert len(list(here.iterdir())) == 3
    (here / f"{scratch.PREFIX}dead").mkdir()
    monkeypatch.setattr(scratch, "YOUNG_SECONDS", 60)
    scratch.sweep()
    assert len(list(here.iterdir())) == 4

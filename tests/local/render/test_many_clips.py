"""Several clips one after the other in one process, as on a GPU; here on the CPU, where bytes can be compared."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiment import SHAPES
from helpers.experiments import TINY
from helpers.local import wait_until

from .conftest import EVERYTHING, SEED_OF_ALL, Supervisor, environment
from .test_same_bytes import hashes

pytestmark = pytest.mark.blender
FIVE_OBJECTS = TINY | {"objects": list(SHAPES), "background": "cached"}


def made(folder, clips_per_process, experiment=FIVE_OBJECTS, count=5):
    ended = Supervisor(folder)(
        count=count, experiment=experiment, seed=SEED_OF_ALL, options=["--clips-per-process", clips_per_process]
    )
    assert ended.code == ExitCode.OK, ended.lines
    return [hashes(ended.run.clip(index)) for index in range(count)], ended


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory):
    return made(tmp_path_factory.mktemp("one-by-one"), 1)[0]


def test_clips_of_one_process_have_the_bytes_of_a_process_each(one_by_one, tmp_path):
    together, ended = made(tmp_path, 5)
    assert together == one_by_one
    imports = [ended.result(index).seconds["import"] for index in range(5)]
    assert imports[1:] == [0.0] * 4, "they were made in the process of the first"


def test_clips_after_a_process_was_replaced_have_the_same_bytes(one_by_one, tmp_path):
    assert made(tmp_path, 2)[0] == one_by_one


def test_clips_that_are_given_one_by_one_have_the_bytes_of_a_process_each(one_by_one, tmp_path):
    supervisor = Supervisor(tmp_path)
    options = ["--serve", "--clips-per-process", 3]
    command = supervisor.command(index=None, experiment=FIVE_OBJECTS, seed=SEED_OF_ALL, options=options)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
    said = []
    for clip in (3, 0, 1, 2):
        process.stdin.write(f"{clip}\n")
        process.stdin.flush()
        said.append(process.stdout.readline().strip())
    process.stdin.close()
    assert (process.wait(60), process.stdout.read()) == (0, "")
    assert said == ["3 0 kept", "0 0 kept", "1 0 gone", "2 0 kept"], "the third clip was the last of its process"
    assert [hashes(supervisor.run.clip(index)) for index in range(4)] == one_by_one[:4]


def test_clips_with_layers_have_the_bytes_of_a_process_each(everything, tmp_path):
    together, _ = made(tmp_path, 3, EVERYTHING, 3)
    assert together == [hashes(everything.run.clip(index)) for index in range(3)]


def test_a_process_that_is_killed_costs_the_clip_under_way(tmp_path):
    supervisor = Supervisor(tmp_path)
    slow = FIVE_OBJECTS | {"frames": 24}
    process = supervisor.start(count=3, experiment=slow, seed=SEED_OF_ALL, options=["--clips-per-process", 3])
    try:
        wait_until(lambda: supervisor.run.clip(0).manifest.exists(), "the first clip")
        (child,) = children_of(process.pid)
        os.kill(child, signal.SIGKILL)
        assert process.wait(60) == ExitCode.FAILED
    finally:
        process.kill()
        process.communicate()
    codes = [json.loads(supervisor.run.result(index).read_text())["exitCode"] for index in range(3)]
    assert codes == [0, 1, 0]


def children_of(pid):
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

"""The next clip's child, prepared while the present one renders. A tiny program stands for the built-in renderer."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipfarm_contract.environment import CLIP_PREPARING
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_render.supervising import children
from clipfarm_render.supervising.child import End
from clipfarm_render.supervising.children import Children, Renderer
from clipfarm_render.supervising.stopping import Stop
from helpers.local import wait_until

from .conftest import alive

# It says that it is loaded, waits, and does what its task says.
PROGRAM = """
import json, os, pathlib, sys, time
scratch = pathlib.Path(os.environ["CLIP_REPORT"]).parent
pathlib.Path(os.environ["PIDS"], str(os.getpid())).touch()
if sys.stdin.readline():
    exec(json.loads((scratch / "task.json").read_text())["DO"])
"""


@pytest.fixture
def pids(tmp_path, monkeypatch):
    """Return a function that tells which children have been loaded, in their order."""
    folder = tmp_path / "pids"
    folder.mkdir()
    # Not in our environment: the built-in renderer, for which it stands, gets a few variables by name.
    known = f"import os; os.environ['PIDS'] = {str(folder)!r}\n"
    monkeypatch.setattr(children, "BUILT_IN", (sys.executable, "-c", known + PROGRAM))
    return lambda: [int(path.name) for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)]


def make(timeout=20.0):
    return Children(Renderer(None, "cpu", timeout))


def run(block, do, *, another=False, stop=None):
    end, _ = block.run({"DO": do}, stop or Stop(), another=another)
    return end


def wait_for_two():
    return "while len(os.listdir(os.environ['PIDS'])) < 2: time.sleep(0.01)"


def test_the_next_child_is_loaded_while_the_present_one_works_and_gets_the_next_task(pids):
    with make() as block:
        end = run(block, f"{wait_for_two()}\nprint('first', os.getpid())", another=True)
        assert end.status == 0
        (second,) = block.pids
        assert alive(second)
        end = run(block, "print('second', os.getpid())")
        assert end.tail.last == f"second {second}"
        assert len(pids()) == 2, "no third one, as no other clip was to follow"


def test_each_child_has_a_scratch_folder_of_its_own_that_goes_with_it(pids):
    with make() as block:
        say = "print(scratch, os.environ['TMPDIR'])"
        folders = [run(block, say, another=True).tail.last.split() for _ in range(3)]
    for scratch, temporary in folders:
        assert scratch == temporary
        assert not Path(scratch).exists()
    assert len({scratch for scratch, _ in folders}) == 3


def test_a_child_that_was_killed_while_it_waited_is_replaced(pids):
    with make() as block:
        run(block, wait_for_two(), another=True)
        (waiting,) = block.pids
        os.kill(waiting, signal.SIGKILL)
        wait_until(lambda: not alive(waiting), "the waiting child ended")
        end = run(block, "print('done', os.getpid())")
    assert (end.how, end.status) == (End.EXITED, ExitCode.OK)
    assert end.tail.last == f"done {pids()[2]}"


def test_the_time_of_a_child_that_waited_counts_from_its_task(pids):
    with make(timeout=1.0) as block:
        run(block, f"{wait_for_two()}\ntime.sleep(0.6)", another=True)
        assert run(block, "time.sleep(0.6)").status == ExitCode.OK
        assert run(block, "time.sleep(60)").ran_out == "timed out after 1 s"


def test_time_for_the_whole_run_does_not_count(pids):
    with make(timeout=1.0) as block:
        shared = "flag = scratch / 'shared-work'; flag.touch(); time.sleep(1.5); flag.unlink()"
        assert run(block, shared).status == ExitCode.OK


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "time.sleep(60)", "os._exit(1)"])
def test_a_child_that_is_killed_while_it_prepares_leaves_no_word_of_it(pids, end, tmp_path, monkeypatch):
    told = tmp_path / "preparing"
    monkeypatch.setenv(CLIP_PREPARING, str(told))
    told.write_text("left by an earlier supervisor")
    with make(timeout=1.0) as block:
        seen = run(block, f"told = pathlib.Path({str(told)!r}); print(told.exists()); told.touch(); {end}")
        assert seen.status
        assert not told.exists()
    assert seen.tail.last == "False"


def test_no_child_is_left_waiting(pids):
    with make() as block:
        run(block, wait_for_two(), another=True)
        (waiting,) = block.pids
    assert not alive(waiting)


def test_kill_9_of_the_supervisor_leaves_no_waiting_child(pids, tmp_path):
    program = f"""
import sys
from clipfarm_render.supervising import children
from clipfarm_render.supervising.stopping import Stop
children.BUILT_IN = {children.BUILT_IN!r}
block = children.Children(children.Renderer(None, "cpu", 60))
block.run({{"DO": "time.sleep(600)"}}, Stop(), another=True)
"""
    supervisor = subprocess.Popen([sys.executable, "-c", program])
    wait_until(lambda: len(pids()) == 2, "two children")
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not any(map(alive, pids())), "both children ended")


def test_the_end_of_a_child_is_seen_at_once(pids):
    with make() as block:
        run(block, wait_for_two(), another=True)
        wait_until(lambda: len(pids()) == 2, "two children")
        started = time.monotonic()
        # It closes what it prints to, and ends a little later: nothing but its end itself tells of that.
        run(block, "os.closerange(1, 3); time.sleep(0.25)")
        assert time.monotonic() - started < 0.5

"""The supervisor is asked to end, or is killed: nothing of it is left behind."""

import signal
import subprocess
import sys
import time

import pytest

from helpers.local import wait_until

from .conftest import alive, environment, python

PID = "pathlib.Path(os.environ['PIDS'], str(os.getpid())).touch()"
WAIT = f"{PID}; time.sleep(600)"
STUBBORN = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}"


@pytest.fixture
def pids(tmp_path, monkeypatch):
    """Return a function that waits for the child's number."""
    folder = tmp_path / "pids"
    folder.mkdir()
    monkeypatch.setenv("PIDS", str(folder))
    return lambda: int(wait_until(lambda: [path.name for path in folder.iterdir()], "a child's number")[0])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("behaviour", [WAIT, STUBBORN], ids=["willing", "stubborn"])
def test_a_signal_ends_child_and_supervisor_within_two_seconds(supervise, pids, number, code, behaviour):
    supervisor = supervise.start(*python(behaviour))
    child = pids()
    asked = time.monotonic()
    supervisor.send_signal(number)
    assert supervisor.wait(timeout=10) == code
    assert time.monotonic() - asked < 2
    assert not alive(child)
    assert not list(supervise.run.root.glob("*clip_*"))


def test_a_second_signal_changes_nothing(supervise, pids):
    supervisor = supervise.start(*python(STUBBORN))
    child = pids()
    supervisor.terminate()
    supervisor.terminate()
    assert supervisor.wait(timeout=10) == 143
    assert not alive(child)
    assert not list(supervise.run.root.glob("*clip_*"))


def test_kill_9_of_the_supervisor_leaves_no_child(supervise, pids):
    supervisor = supervise.start(*python(STUBBORN))
    child = pids()
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not alive(child), "the child ended")
    assert supervise.run.clips() == []
    assert len(supervise.run.attempts()) == 1, "half a clip is there under a name that no reader takes for a clip"


def test_with_exit_with_parent_it_ends_when_its_parent_is_killed(supervise, pids, tmp_path):
    command = supervise.command(*python(WAIT), options=["--exit-with-parent"])
    note = tmp_path / "supervisor"
    keep = f"open({str(note)!r}, 'w').write(str(p.pid))"
    start = f"import subprocess, time; p = subprocess.Popen({command!r}); {keep}; time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", start], env=environment(), stderr=subprocess.DEVNULL)
    child, supervisor = pids(), int(wait_until(lambda: note.exists() and note.read_text(), "the supervisor's number"))
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(supervisor), "the supervisor ended")
    assert not alive(child)
    assert not list(supervise.run.root.glob("*clip_*"))


def test_without_it_the_supervisor_goes_on(supervise, pids, tmp_path):
    go = tmp_path / "go"
    waiting = f"[time.sleep(0.02) for _ in iter(lambda: os.path.exists('{go}'), True)]"
    program = python(f"{PID}; {waiting}; open(os.environ['CLIP_DIR'] + '/done', 'w').close()")
    start = f"import subprocess, time; subprocess.Popen({supervise.command(*program)!r}); time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", start], env=environment(), stderr=subprocess.DEVNULL)
    pids()
    parent.kill()
    parent.wait()
    go.touch()
    wait_until(lambda: supervise.run.clips() == [0], "the first clip")

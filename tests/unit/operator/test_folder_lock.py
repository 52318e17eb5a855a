"""One run at a time has an output folder, and so has what an executor that was killed has left at work there."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading

import pytest

from clipfarm.local import scan
from clipfarm_contract.layout import RunFolder

HOLD = """
import fcntl, os, socket, subprocess, sys
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
child = subprocess.Popen(["cat"], stdout=subprocess.DEVNULL, pass_fds=[lock])
print(child.pid, flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path)
    folder.state.mkdir()
    return folder


@pytest.fixture
def orphan(folder):
    """Let a process hold the folder's lock that its parent has left behind; it ends with its standard input."""
    ended = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder.lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert ended.stdout.readline()
    ended.wait(30)
    yield ended
    ended.stdin.close()
    ended.stdout.close()


def test_a_folder_that_a_living_process_has_is_refused_at_once(folder):
    with scan.locked(folder) as lock:
        assert lock.unsure == ""
        here = f"process {os.getpid()} on {socket.gethostname()}"
        assert folder.lock.read_text() == here
        with (
            pytest.raises(scan.FolderError, match=f"in use by {here}; wait for it, or use another folder"),
            scan.locked(folder, patience=1e9),
        ):
            pass


def test_what_a_killed_run_left_at_work_is_waited_for(folder, orphan):
    threading.Timer(0.3, orphan.stdin.close).start()
    with scan.locked(folder, patience=30) as lock:
        assert lock.unsure == ""


def test_what_goes_on_for_too_long_is_refused(folder, orphan):
    with (
        pytest.raises(scan.FolderError, match=f"in use by what process {orphan.pid} on .* has started"),
        scan.locked(folder, patience=0.1),
    ):
        pass


@pytest.mark.parametrize("holder", ["process 1 on another-host", "", "process 99999999999", "\x1b[2J", "process 1"])
def test_a_holder_of_which_nothing_is_known_is_taken_for_alive(folder, orphan, holder):
    folder.lock.write_text(holder)
    with pytest.raises(scan.FolderError, match=r"in use by .*; wait for it") as raised, scan.locked(folder, 1e9):
        pass
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_a_run_goes_on_and_says_which_file_could_not_be_locked(folder, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with scan.locked(folder) as lock:
        assert lock.unsure == f"{folder.lock} cannot be locked: {os.strerror(number)}"


@pytest.mark.parametrize("kind", ["FIFO", "folder", "device"])
def test_something_else_in_the_locks_place_is_refused_in_one_line(folder, kind):
    match kind:
        case "FIFO":
            os.mkfifo(folder.lock)
        case "folder":
            folder.lock.mkdir()
        case "device":
            folder.lock.symlink_to("/dev/null")
    with pytest.raises(scan.FolderError, match=f"^{folder.lock}: "), scan.locked(folder):
        pass


class TestSweep:
    """Half-made clips are removed if it is known that nothing writes them."""

    @pytest.fixture(autouse=True)
    def half_made(self, folder):
        folder.attempt(3, "0123abcd").mkdir()

    def test_of_dead_writers_they_are_removed(self, folder):
        assert scan.sweep(folder) == scan.Swept(removed=1)
        assert folder.attempts() == []

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, errno.EACCES, errno.EIO])
    def test_a_lock_that_fails_does_not_mean_that_nothing_writes(self, folder, monkeypatch, number):
        def refuse(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", refuse)
        swept = scan.sweep(folder)
        assert (swept.removed, swept.left) == (0, 1)
        assert swept.why.endswith(f"still writes them: {folder.writers}: {os.strerror(number)}")

    def test_of_a_living_writer_they_stay(self, folder, monkeypatch):
        monkeypatch.setattr(scan, "WRITERS_END_SECONDS", 0.1)
        descriptor = os.open(folder.writers, os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        swept = scan.sweep(folder)
        os.close(descriptor)
        assert (swept.removed, swept.left, swept.why) == (0, 1, "another program is writing clips there")

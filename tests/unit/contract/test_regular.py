"""What is no regular file is neither waited for nor read for ever, wherever a program opens it."""

import os
import socket
import threading
import tracemalloc
from pathlib import Path

import pytest

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError


def special(path, kind):
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(path))
            server.close()
        case "folder":
            path.mkdir()
    return path


KINDS = ["FIFO", "device", "socket", "folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    with pytest.raises(ContractError, match=r"^clip\.json: not a regular file$"):
        regular.read(special(tmp_path / "odd", kind), "clip.json")


def test_no_more_is_read_than_allowed(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"12345")
    assert regular.read(path, "large", 5) == b"12345"
    with pytest.raises(ContractError, match=r"^large: more than 4 bytes$"):
        regular.read(path, "large", 4)
    assert regular.read_end(path, 2) == b"45"


def test_reading_takes_the_memory_that_a_file_has_and_not_what_it_may_have(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"12345")
    tracemalloc.start()
    try:
        assert regular.read(path, "small", 2**28) == b"12345"
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_file_that_says_no_size_is_read_to_its_end():
    status = regular.read(Path("/proc/self/status"), "status")
    assert status.endswith(b"\n")
    assert len(status) > 500
    with pytest.raises(ContractError, match=r"^status: more than 99 bytes$"):
        regular.read(Path("/proc/self/status"), "status", 99)


@pytest.mark.parametrize(
    ("kind", "found"), [("device", "a device"), ("socket", "a socket or a device"), ("folder", "a folder")]
)
def test_a_file_that_a_person_names_is_a_regular_one_or_a_pipe(tmp_path, kind, found):
    with pytest.raises(ContractError, match=f"^run.yaml: found {found}, expected a regular file or a pipe$"):
        regular.read_given(special(tmp_path / "odd", kind), "run.yaml")


def test_a_fifo_that_no_program_writes_to_is_not_waited_for(tmp_path):
    with pytest.raises(ContractError, match="found a pipe without content, or that no program writes to"):
        regular.read_given(special(tmp_path / "odd", "FIFO"), "run.yaml")


def test_a_pipe_is_read_to_its_end_however_slow_its_writer_is():
    reader, writer = os.pipe()
    read, written = threading.Event(), threading.Event()

    def write():
        for _ in range(3):
            os.write(writer, b"x" * 1000)
        read.wait(30)
        os.write(writer, b"y")
        os.close(writer)
        written.set()

    threading.Thread(target=write).start()
    threading.Timer(0.2, read.set).start()
    try:
        assert regular.read_given(f"/dev/fd/{reader}", "run.yaml") == b"x" * 3000 + b"y"
    finally:
        os.close(reader)
    assert written.wait(30)


def test_a_pipe_that_stays_silent_or_never_ends_is_given_up():
    reader, writer = os.pipe()
    try:
        with pytest.raises(ContractError, match=r"^run.yaml: found a pipe that stayed silent for 0.1 s$"):
            regular.read_given(f"/dev/fd/{reader}", "run.yaml", patience=0.1)
        os.write(writer, b"x" * 1000)
        with pytest.raises(ContractError, match=r"^run\.yaml: more than 999 bytes$"):
            regular.read_given(f"/dev/fd/{reader}", "run.yaml", 999)
    finally:
        os.close(reader)
        os.close(writer)

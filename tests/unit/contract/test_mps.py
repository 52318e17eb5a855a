"""Whether the daemon of CUDA MPS answers, by what it leaves in its folder."""

import os
import socket

import pytest

from clipfarm_contract import mps


@pytest.fixture
def environ(tmp_path):
    return {mps.PIPES: str(tmp_path)}


def test_without_a_daemon_it_is_off(environ):
    assert not mps.is_on(environ)
    assert not mps.is_on({mps.PIPES: "/nonexistent"})


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_a_socket_counts_as_long_as_something_listens_on_it(environ, kind):
    with socket.socket(socket.AF_UNIX, kind) as daemon:
        daemon.bind(str(mps.control(environ)))
        daemon.listen()
        daemon.setblocking(False)
        assert mps.is_on(environ)
        with pytest.raises(BlockingIOError):
            daemon.accept()  # it was not disturbed
    assert mps.control(environ).exists()
    assert not mps.is_on(environ), "it was killed, and its files are still there"


def test_a_pipe_counts_as_long_as_something_reads_it(environ):
    os.mkfifo(mps.control(environ))
    assert not mps.is_on(environ)
    reader = os.open(mps.control(environ), os.O_RDONLY | os.O_NONBLOCK)
    assert mps.is_on(environ)
    os.close(reader)
    assert not mps.is_on(environ)

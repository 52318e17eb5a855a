"""What the live page's server writes into the log of the run beside it."""

import socket
from urllib.parse import urlsplit

import pytest

from clipfarm.live.local_page import served


class Runs:
    """A source of which only the runs are asked for, and which fails."""

    def runs(self):
        raise RuntimeError("the status is broken")


@pytest.mark.parametrize(
    ("request_", "status", "logged"),
    [
        pytest.param(b"HELLO\r\n\r\n", b"400", False, id="no HTTP"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"400", False, id="no name of a host"),
        pytest.param(b"GET /live.json HTTP/1.1\r\nHost: localhost\r\n\r\n", b"500", True, id="a fault of ours"),
    ],
)
def test_only_faults_of_this_program_are_logged(caplog, request_, status, logged):
    with (
        served(Runs(), "127.0.0.1", 0) as url,
        socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=10) as connection,
    ):
        connection.sendall(request_)
        assert connection.recv(100).split()[1] == status
    assert bool(caplog.records) == logged

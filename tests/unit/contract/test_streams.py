"""A program goes on whatever becomes of its standard streams, and says once that output is lost."""

import errno
import io
import os
import threading
from pathlib import Path

from clipfarm_contract import streams


def test_output_that_cannot_be_written_is_dropped_and_said_once(capsys):
    with Path("/dev/full").open("wb") as full:
        made = streams.Output(full.fileno(), "program")
        assert [made.write(b"abc"), made.write(b"defg")] == [3, 4]
    assert capsys.readouterr().err == "program: standard output: No space left on device\n"
    assert made.failed


def test_a_reader_that_goes_away_is_no_failure(capsys):
    read, write = os.pipe()
    os.close(read)
    made = streams.Output(write, "program")
    assert made.write(b"abc") == 3
    os.close(write)
    assert made.lost is not None
    assert (made.lost.errno, made.failed, capsys.readouterr().err) == (errno.EPIPE, False, "")


def test_a_reader_that_is_slow_is_waited_for_where_another_program_made_the_stream_non_blocking():
    read, write = os.pipe()
    os.set_blocking(write, False)
    made = io.BufferedWriter(streams.Output(write, "program"))
    data = b"x" * 300_000  # more than a pipe holds
    found: list[bytes] = []

    def slow() -> None:
        with os.fdopen(read, "rb") as file:
            found.append(file.read())

    reader = threading.Thread(target=slow)
    reader.start()
    made.write(data)
    made.flush()
    os.close(write)
    reader.join(60)
    assert found == [data]

"""The standard streams of a program: started without some of them, as by ``>&-``, or with a reader that goes away."""

import contextlib
import errno
import io
import os
import select
import sys
from typing import Any, TextIO


class Output(io.FileIO):
    """A standard stream that is given up where it cannot be written: that must not end a night of rendering."""

    def __init__(self, number: int, program: str = "") -> None:
        super().__init__(number, "wb", closefd=False)
        self._program = program
        self.lost: OSError | None = None
        """What happened when it was written the last time; nothing is written after it."""

    @property
    def failed(self) -> bool:
        """Whether output was lost, and not because its reader had read enough."""
        return self.lost is not None and self.lost.errno != errno.EPIPE

    def write(self, data: Any, /) -> int:
        """Write bytes, or drop them once that has failed."""
        if self.lost is None:
            try:
                while (written := super().write(data)) is None:
                    # Another program has made it non-blocking, on the terminal that they share, and it is full.
                    select.select([], [self.fileno()], [])
                return written
            except OSError as error:
                self.lost = error
                if self.failed and self._program:
                    with contextlib.suppress(OSError):
                        sys.stderr.write(f"{self._program}: standard output: {error.strerror}\n")
        return len(data)


def guard(program: str) -> Output:
    """Open the streams that are closed, keep the program alive without those that break; return standard output.

    Args:
        program: the name that a message on standard error begins with if standard output cannot be written.
    """
    open_missing()
    output = Output(1, program)
    sys.stdout = _text(output, sys.stdout)
    sys.stderr = _text(Output(2), sys.stderr)
    return output


def open_missing() -> None:
    """Open each that is closed on /dev/null: else the next file that is opened would get its number, and its output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open to the end
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _text(raw: Output, before: TextIO) -> TextIO:
    """Return a text stream as Python makes it; characters that its encoding lacks are written out."""
    at_once = getattr(before, "line_buffering", True) or getattr(before, "write_through", False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=before.encoding, errors="backslashreplace", line_buffering=at_once
    )

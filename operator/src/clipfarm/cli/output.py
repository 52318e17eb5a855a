"""Printing for people, whatever becomes of their terminal."""

import contextlib
import sys
from typing import Any, TextIO

import click
from rich.console import Console

from clipfarm_contract.text import printable


class _Forgiving:
    """A text stream that goes quiet when nobody reads it any more: a closed pipe must not end a night of rendering."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> int:
        """Write a text, or nothing once the stream is broken."""
        if not self._broken:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._break()
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if not self._broken:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._break()

    def _break(self) -> None:
        self._broken = True
        # What is still in its buffer would be tried again when Python ends, and end it with an error.
        with contextlib.suppress(OSError, ValueError):
            sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open to the end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def forgiving_console() -> Console:
    """Return a console on standard output that outlives its reader."""
    return Console(file=_Forgiving(sys.stdout))  # type: ignore[arg-type]  # it is one in all that rich uses


class Sayer:
    """Prints lines without wrapping or colours of their own; what a terminal would obey is written out."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, line: str) -> None:
        """Print a line."""
        self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def show(line: str, *, error: bool = False) -> None:
    """Print a line; what a terminal would obey is written out."""
    click.echo(printable(line), err=error)

"""Printing for people, safe for any terminal."""

import sys

import click
from rich.console import Console

from clipfarm_contract.streams import Output
from clipfarm_contract.text import printable


class Sayer:
    """Prints lines without wrapping or colours; control characters are shown, not obeyed."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, line: str) -> None:
        """Print a line."""
        self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def show(line: str, *, error: bool = False) -> None:
    """Print a line; control characters are shown, not obeyed."""
    click.echo(printable(line), err=error)


def unread() -> bool:
    """Whether standard output has lost its reader, or cannot be written for another reason."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, Output) and raw.lost is not None

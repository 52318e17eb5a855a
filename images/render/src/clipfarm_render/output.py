"""What a child prints: bytes in, whole lines out."""

import contextlib
import re
import sys
from collections import deque

from clipfarm_contract.text import printable

TAIL_LINES = 50
MAX_LINE_BYTES = 65_536
"""A longer line is cut, so that a child which never ends a line cannot fill our memory."""

_CHATTER = re.compile(
    r"Fra:\d+ Mem:|Saved: '|\s*Time: \d+:\d\d\.\d\d \(Saving: "  # Blender, of every frame, many times over
    r"|pybullet build time: |PyBullet: Constraint Solver: |switched solver$"
    r"|Error: dropbox with unknown operator: "  # of every clip: a part of the user interface that is left out
    r"|Error: Not freed memory blocks: "  # where Blender frees what it holds, at its end; sounds bad, and is harmless
    r"|\s*$"
)


class LineSplitter:
    """Cuts one stream into lines; a carriage return, as progress bars write it, ends a line too."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take more bytes; return the lines that are whole now."""
        *lines, self._rest = re.split(rb"[\r\n]", self._rest + data)
        if len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return [_text(line) for line in lines]

    def end(self) -> list[str]:
        """Return what is left when the stream has ended."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


class Tail:
    """The last lines of a child's output."""

    def __init__(self, lines: int = TAIL_LINES) -> None:
        self._lines: deque[str] = deque(maxlen=lines)

    def add(self, line: str) -> None:
        """Keep a line."""
        self._lines.append(line)

    @property
    def last(self) -> str:
        """The last line; empty where there was none."""
        return self._lines[-1] if self._lines else ""

    def text(self) -> str:
        """Return all lines that are kept."""
        return "".join(f"{line}\n" for line in self._lines)


def say(line: str) -> None:
    """Write a line to stderr. If its reader has gone, that is no reason to lose a clip."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def is_chatter(line: str) -> bool:
    """Return whether a line is one that Blender and PyBullet always print, or empty."""
    return _CHATTER.match(line) is not None


def _text(line: bytes) -> str:
    return printable(line.decode("utf-8", errors="replace").rstrip())

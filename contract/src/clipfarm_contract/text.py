"""Text of programs that are not ours, made fit to be shown."""

import difflib
import re
from collections.abc import Iterable

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys instead of showing it: all controls but tab and line feed, and those that turn the direction of
writing. Also what is no character: bytes of a file's name that are not UTF-8, as Python holds them."""


def printable(text: str) -> str:
    r"""Return a text in which what a terminal would obey is written out, as ``\x1b``."""
    return _OBEYED.sub(lambda found: _written_out(ord(found[0])), text)


def any_of(names: Iterable[str]) -> str:
    """Return ``cube, sphere or torus``; of one or more."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def meant(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean friction?)`` if a known name is close; else which there are, if any."""
    names = list(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f" (did you mean {close[0]}?)"
    return f", expected {any_of(names)}" if names else ""


def _written_out(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"

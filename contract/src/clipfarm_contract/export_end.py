"""The termination message of an export: what it came to, in at most 4096 bytes.

It is JSON. Of an export that is complete::

    {"clips": 97, "files": 12, "bytes": 73400320, "leftOut": 3, "reasons": ["clips 4,7-8: failed to render: ..."]}

and of one that could not be made ``{"error": "/export/friction: not empty (thesis.tex), ..."}``. Readers ignore keys
that they do not know: a later version may add some.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from clipfarm_contract.fields import ContractError, Fields, load, parse_text, show
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import clip_index
from clipfarm_contract.text import printable

MAX_BYTES = 4096
"""The kubelet cuts a longer message."""
MOST_REASONS, MOST_TEXT = 5, 500
"""Reasons, and characters of each: in UTF-8 and as JSON they fit, unless most of them are no letters."""
MOST_CLIPS_TEXT = 100


@dataclass(frozen=True, slots=True)
class ExportEnd:
    """What an export came to."""

    clips: int = 0
    """Clips that are in it."""
    files: int = 0
    size: int = 0
    """Bytes of all its files."""
    left_out: int = 0
    """Clips, and feature sets of clips, that are not in it."""
    reasons: tuple[str, ...] = ()
    """Why they are not, with their clips: the most frequent reasons, one line each."""
    error: str = ""
    """Why there is no complete export, in one line; empty if there is one."""

    @classmethod
    def parse(cls, text: str) -> "ExportEnd":
        """Parse a message.

        Raises:
            ContractError: it is not such a message.
        """
        fields = Fields(load(text, "message"), "message")
        if fields.has("error"):
            return cls(error=one_line(fields.take("error", str)))
        reasons = fields.take_list("reasons", parse_text) if fields.has("reasons") else ()
        clips, files, size, left_out = (_count(fields, name) for name in ("clips", "files", "bytes", "leftOut"))
        return cls(clips, files, size, left_out, tuple(map(one_line, reasons[:MOST_REASONS])))

    def dump(self) -> str:
        """Return the message; reasons that it has no room for are left out."""
        if self.error:
            return _text({"error": one_line(self.error)})
        counts = {"clips": self.clips, "files": self.files, "bytes": self.size, "leftOut": self.left_out}
        for count in range(min(len(self.reasons), MOST_REASONS), -1, -1):
            text = _text(counts | {"reasons": [one_line(each) for each in self.reasons[:count]]})
            if len(text.encode()) <= MAX_BYTES:
                return text
        raise AssertionError("four numbers fit")


def grouped(left_out: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return reasons with the clips that share them, the most frequent first.

    Args:
        left_out: name of a clip, and why it was left out.
    """
    clips: dict[str, list[str]] = {}
    for name, reason in left_out:
        clips.setdefault(reason, []).append(name)
    most = sorted(clips.items(), key=lambda each: -len(each[1]))
    return tuple(f"{_named(names)}: {reason}" for reason, names in most[:MOST_REASONS])


def _named(names: list[str]) -> str:
    numbers = [number for name in names if (number := clip_index(name)) is not None]
    text = str(Indexes.of(numbers))
    if len(text) > MOST_CLIPS_TEXT:
        text = text[:MOST_CLIPS_TEXT].rpartition(",")[0] + ",..."
    return f"clips {text}" if len(numbers) > 1 else f"clip {text}"


def one_line(text: str) -> str:
    """Return a text as one line without control characters, of at most ``MOST_TEXT``."""
    return printable(" ".join(text.split()))[:MOST_TEXT]


def _text(value: dict[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _count(fields: Fields, name: str) -> int:
    found = fields.take(name, int)
    if not 0 <= found < 2**63:
        raise ContractError(f"{fields.path(name)}: found {show(found)}, expected a count")
    return found

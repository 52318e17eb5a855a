"""YAML files as kubectl reads them: the same bytes give the same objects here and in a cluster.

kubectl turns YAML into JSON before the API server sees it. A scanner of the same family (libyaml) reads the text here,
and :mod:`clipfarm.yaml_scalars` the words. What kubectl would lose without a word is refused: the first of two values
of one key, and bytes that are no text.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from clipfarm.json_documents import json_documents
from clipfarm.units import format_bytes
from clipfarm.yaml_budget import Budget, DocumentError
from clipfarm.yaml_scalars import MERGE_TAG, Scalar, ScalarError, scalar

MOST_BYTES = 2**20
"""Of a file; kubectl applies no object whose JSON has more than a quarter of it."""
MOST_LEVELS = 100
"""Objects and lists inside each other; a run has 8."""

_ENCODINGS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"))
_SEPARATOR = "---"
_SLASH = re.compile(r"(?<!\\)(\\\\)*\\/")
"""Of YAML 1.2 and JSON; libyaml takes it, and kubectl's scanner does not."""


def documents(content: bytes) -> list[Any]:
    """Return the documents of a file as values of JSON; empty ones are left out.

    Raises:
        DocumentError: it cannot be read.
    """
    if len(content) > MOST_BYTES:
        raise DocumentError(f"found {format_bytes(len(content))}, expected {format_bytes(MOST_BYTES)} or less")
    text, budget = _text(content), Budget()
    found, end = json_documents(text, budget)
    for first_line, part in _parts(text[end:], text.count("\n", 0, end)):
        found.append(_Part(part, first_line, budget).document())
    return [document for document in found if document is not None]


def _text(content: bytes) -> str:
    mark, encoding = next((each for each in _ENCODINGS if content.startswith(each[0])), (b"", "utf-8"))
    try:
        return content[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        raise DocumentError("not a text file in UTF-8") from None


def _parts(text: str, line: int) -> Iterator[tuple[int, str]]:
    """Cut a text at its lines ``---``, as kubectl does before it reads YAML; each part comes with its first line."""
    part, first = "", line
    for number, each in enumerate(text.removesuffix("\n").split("\n"), line):
        if each.startswith(_SEPARATOR):
            after = each.removeprefix(_SEPARATOR).strip()
            if after and not after.startswith("#"):
                raise DocumentError(f"line {number + 1}: found {each[:60]!r}, expected --- on a line of its own")
            if part:
                yield first, part
                part, first = "", number + 1
                continue
        part += each.removesuffix("\r") + "\n"
    yield first, part


class _Part:
    """One document of YAML, from the scanner's events to values of JSON."""

    def __init__(self, text: str, first_line: int, budget: Budget) -> None:
        self._text = text
        self._events = yaml.parse(text.encode(), yaml.CSafeLoader)
        self._first_line = first_line
        self._budget = budget
        self._brackets = 0
        # What stands at an anchor, and how much it is; None while it is being read.
        self._anchors: dict[str, tuple[Any, int] | None] = {}

    def document(self) -> Any:
        """Return the document; of several that ``...`` ends kubectl takes the first, too."""
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    document = self._value(self._next(), 0)
                    self._next()  # its end, or what keeps it from ending
                    return document
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise DocumentError(self._place(mark) + " ".join(str(error.problem or error).split())) from None
        except yaml.YAMLError as error:
            raise DocumentError("not YAML: " + " ".join(str(error).split())) from None
        return None

    def _next(self) -> Any:
        return next(self._events)

    def _value(self, event: Any, level: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._budget.left
        self._budget.take(1)
        if level > MOST_LEVELS:
            self._fail(event, "nested too deeply")
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.CollectionStartEvent):
            brackets = int(bool(event.flow_style))
            self._brackets += brackets
            made: Any = self._mapping(level) if isinstance(event, yaml.MappingStartEvent) else self._sequence(level)
            self._brackets -= brackets
        else:
            made = self._scalar(event)
        if event.anchor:
            self._anchors[event.anchor] = (made, before - self._budget.left)
        return made

    def _sequence(self, level: int) -> list[Any]:
        made = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            made.append(self._value(event, level + 1))
        return made

    def _scalar(self, event: Any) -> Scalar:
        if self._brackets and not event.style and ("?" in event.value or event.value == "-"):
            self._fail(event, f"found {event.value[:60]!r}, which needs quotes between brackets")
        if event.style == '"' and _SLASH.search(self._text[event.start_mark.index : event.end_mark.index]):
            self._fail(event, "found the unknown escape \\/, expected /")
        try:
            return scalar(event.value, event.tag, plain=event.implicit[0])
        except ScalarError as error:
            self._fail(event, str(error))

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            self._fail(event, f"there is no anchor {event.anchor} above")
        found = self._anchors[event.anchor]
        if found is None:
            self._fail(event, f"the anchor {event.anchor} holds itself")
        value, size = found
        self._budget.take(size)
        return value

    def _mapping(self, level: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        given: set[str] = set()
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if _merges(event):
                merged = self._merged(level)
                if lost := given & merged.keys():
                    self._fail(event, f"{min(lost)} is given twice, and kubectl takes what << adds to it")
                made |= merged
                continue
            key = self._key(event, level)
            if key in given:
                self._fail(event, f"{key} is given twice")
            given.add(key)
            made[key] = self._value(self._next(), level + 1)
        return made

    def _merged(self, level: int) -> dict[str, Any]:
        """Return what ``<<`` adds: one mapping, or several of which the first counts most."""
        event = self._next()
        if isinstance(event, yaml.SequenceStartEvent):
            found = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                found.append((item, self._value(item, level + 1)))
        else:
            found = [(event, self._value(event, level + 1))]
        merged: dict[str, Any] = {}
        for at, each in reversed(found):
            if not isinstance(each, dict):
                self._fail(at, "<< expects an object, or a list of some")
            merged |= each
        return merged

    def _key(self, event: Any, level: int) -> str:
        key = None if isinstance(event, yaml.CollectionStartEvent) else self._value(event, level + 1)
        if not isinstance(key, str | int):
            self._fail(event, "a key has to be a name")
        return str(key).lower() if isinstance(key, bool) else str(key)

    def _place(self, mark: Any) -> str:
        return f"line {self._first_line + mark.line + 1}, column {mark.column + 1}: " if mark else ""

    def _fail(self, event: Any, problem: str) -> NoReturn:
        raise DocumentError(self._place(event.start_mark) + problem)


def _merges(event: Any) -> bool:
    return (
        isinstance(event, yaml.ScalarEvent)
        and event.value == "<<"
        and (bool(event.implicit[0]) or event.tag == MERGE_TAG)
    )

"""The parts of an export, made one after the other; those that an earlier call has finished are not made again."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipfarm_contract.fields import dump
from clipfarm_export.destination.base import STATE, Destination
from clipfarm_export.survey import LeftOut

Tick = Callable[[], None]
"""Called after each clip."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of a part."""

    left_out: Sequence[LeftOut] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the files that are written last need to know of it; JSON."""


@dataclass(frozen=True, slots=True)
class Part:
    """A few files that appear together."""

    name: str
    clips: int
    """How many clips it takes to make them, for the progress."""
    make: Callable[[Path, Tick], Made]
    """Writes its files into an empty folder, under the names that they will have in the export."""


@dataclass(frozen=True, slots=True)
class Record:
    """A part that is finished."""

    name: str
    files: Mapping[str, Mapping[str, Any]]
    """SHA-256 and size of each file."""
    left_out: tuple[LeftOut, ...]
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "files": dict(self.files),
            "leftOut": [each.to_json() for each in self.left_out],
            "facts": dict(self.facts),
        }


def carry_out(part: Part, place: Destination, tick: Tick) -> Record:
    """Make a part, and publish its files.

    Its record comes last: a part without one is made again.
    """
    with place.staging() as folder:
        made = part.make(folder, tick)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): entry(path) for path in paths}
        for path in paths:
            place.publish(path, path.relative_to(folder).as_posix())
    record = Record(part.name, files, tuple(made.left_out), made.facts)
    place.write(_record_name(part.name), dump(record.to_json()).encode())
    return record


def finished(part: Part, place: Destination, names: frozenset[str]) -> Record | None:
    """Return the record of a part that an earlier call has finished; None if it has to be made.

    Args:
        part: the part.
        place: where the export is.
        names: all files there.
    """
    if _record_name(part.name) not in names:
        return None
    content = place.read(_record_name(part.name))
    if content is None:
        return None
    found = json.loads(content)
    if not found["files"].keys() <= names:
        return None
    left_out = tuple(LeftOut(each["clip"], each["reason"]) for each in found["leftOut"])
    return Record(part.name, found["files"], left_out, found["facts"])


def entry(path: Path) -> dict[str, Any]:
    """Return SHA-256 and size of a file."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size": path.stat().st_size}


def _record_name(part: str) -> str:
    return f"{STATE}/parts/{part}.json"

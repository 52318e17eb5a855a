"""What is in the destination before an export begins, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from clipfarm_contract.fields import load
from clipfarm_export.destination.base import STATE, Destination
from clipfarm_export.errors import ExportError
from clipfarm_export.survey import LeftOut

REPORT = "export.json"
SUMS = "SHA256SUMS"
EDITABLE = ("README.md", "croissant.json")
"""Files that their author completes; so their hashes are not recorded."""
PLAN = f"{STATE}/plan.json"
_FOLDERS = ("data", "features", "meta", "metadata", "previews", "videos")
"""Folders that formats write."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has been exported."""

    clips: int
    files: int
    size: int
    """bytes"""
    left_out: tuple[LeftOut, ...]
    was_complete: bool = False
    """Whether it was there already, so that nothing was made."""


class Existing(Enum):
    """What becomes of an export that is in the destination."""

    KEEP = "keep"
    """The same one is continued; another one is refused."""
    REPLACE = "replace"
    """The same one is continued; another one is removed."""
    REMOVE = "remove"
    """It is removed, also if it is the same one."""


def is_another(place: Destination, fingerprint: str) -> bool:
    """Return whether an export of other clips, or with other options, is there or was begun."""
    found = place.read(REPORT) or place.read(PLAN)
    return found is not None and _read_json(found).get("fingerprint") != fingerprint


def clear(place: Destination) -> None:
    """Remove an export, and nothing else.

    Raises:
        ExportError: something else is there, or another export is at work.
    """
    names = [name for name in place.names() if name not in place.of_place]
    if not names:
        return
    report = _read_json(place.read(REPORT) or b"{}")
    if PLAN not in names and not {"fingerprint", "format"} <= report.keys():
        raise ExportError(f"{place.url}: found {names[0]} and no export, so nothing is removed; empty it first")
    if foreign := _foreign(place, names):
        more = f" and {len(foreign) - 1} more files" if len(foreign) > 1 else ""
        raise ExportError(
            f"{place.url}: found {foreign[0]}{more} beside the export, so nothing is removed;"
            " move what is not the export's elsewhere first"
        )
    with place.held():
        # If this is broken off, what is left still says that it is an export's.
        place.clear(SUMS, REPORT)


def _foreign(place: Destination, names: Sequence[str]) -> list[str]:
    """Return the files that are not an export's: by its list of hashes, or by their folders while it is unfinished."""
    sums = place.read(SUMS)
    own = {SUMS, REPORT, *EDITABLE, *place.of_place}
    if sums is not None:
        own |= {line.partition("  ")[2] for line in sums.decode(errors="replace").splitlines()}
    folders = (STATE,) if sums is not None else (STATE, *_FOLDERS)
    return [name for name in names if name not in own and name.partition("/")[0] not in folders]


def begun(place: Destination, fingerprint: str) -> Outcome | None:
    """Return the outcome if the export is complete already, None if it can be begun or continued.

    Raises:
        ExportError: the destination holds something else.
    """
    names = place.names()
    report, plan = place.read(REPORT), place.read(PLAN)
    if report is not None and SUMS in names:
        if _read_json(report).get("fingerprint") != fingerprint:
            raise ExportError(
                f"{place.url}: holds a complete export of other clips or with other options;"
                " use another folder, or --replace (in a run file export.replace: true)"
            )
        place.remove_state()  # what is left of it where a kill came late
        return replace(outcome(place), was_complete=True)
    if plan is not None:
        if _read_json(plan).get("fingerprint") != fingerprint:
            raise ExportError(
                f"{place.url}: an export was begun here of other clips, with other options or another version of"
                " clipfarm; --replace (in a run file export.replace: true) removes it and starts over"
            )
        return None
    if foreign := [name for name in names if not name.startswith(f"{STATE}/") and name not in place.of_place]:
        raise ExportError(f"{place.url}: not empty ({foreign[0]}), expected an empty folder or an export")
    return None


def outcome(place: Destination) -> Outcome:
    """Return what a complete export holds, by its report."""
    report = _read_json(place.read(REPORT) or b"{}")
    others = set(place.of_place) - set(EDITABLE)
    names = [name for name in place.names() if not name.startswith(f"{STATE}/") and name not in others]
    left_out = tuple(LeftOut(each["clip"], each["reason"]) for each in report.get("leftOut", []))
    return Outcome(report.get("clips", 0), len(names), place.size(names), left_out)


def _read_json(content: bytes) -> dict[str, Any]:
    found = load(content, REPORT)
    return found if isinstance(found, dict) else {}

"""What is in the destination before an export begins, and what becomes of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from clipfarm_contract.fields import ContractError, load
from clipfarm_export.destination.base import STATE, Destination
from clipfarm_export.errors import ExportError
from clipfarm_export.survey import LeftOut

REPORT = "export.json"
SUMS = "SHA256SUMS"
EDITABLE = ("README.md", "croissant.json")
"""Files that their author completes; so their hashes are not among those that are verified."""
WRITTEN = "editable"
"""Field of the report: hashes of those files as they were written, by which an edited one is known."""
PLAN = f"{STATE}/plan.json"
_REPLACE = "--replace (clipfarm local: --export-replace; in a run file: export.replace: true)"
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
    """Return whether an export of other clips, or with other options, is there or was begun; or is left in part."""
    report, plan = place.read(REPORT), place.read(PLAN)
    found = report or plan
    if found is None:
        return False
    return _is_left(place, report, plan) or _read_json(found).get("fingerprint") != fingerprint


def _is_left(place: Destination, report: bytes | None, plan: bytes | None) -> bool:
    """Return whether an export is there whose removal was broken off: its list of hashes goes first."""
    return report is not None and "fingerprint" in _read_json(report) and plan is None and place.read(SUMS) is None


def left_out_before(place: Destination) -> list[LeftOut]:
    """Return what a complete export that is there leaves out."""
    report = place.read(REPORT) if place.read(SUMS) is not None else None
    return _left_out(_read_json(report or b"{}"))


def clear(place: Destination) -> None:
    """Remove an export, and nothing else.

    Raises:
        ExportError: something else is there, or what its author has written; or another export is at work.
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
    if report and WRITTEN not in report and (there := [name for name in EDITABLE if place.read(name) is not None]):
        raise ExportError(
            f"{place.url}: {there[0]} may have been edited, which an export by an earlier version does not say,"
            " so nothing is removed; move it elsewhere first"
        )
    if edited := [name for name, sha256 in report.get(WRITTEN, {}).items() if _differs(place.read(name), sha256)]:
        raise ExportError(
            f"{place.url}: {edited[0]} was edited after the export, so nothing is removed; move it elsewhere first"
        )
    with place.held():
        # If this is broken off, what is left still says that it is an export's.
        place.clear(SUMS, REPORT)


def _differs(content: bytes | None, sha256: str) -> bool:
    return content is not None and hashlib.sha256(content).hexdigest() != sha256


def _foreign(place: Destination, names: Sequence[str]) -> list[str]:
    """Return the files that are not an export's: by its list of hashes, or by their folders while it is unfinished."""
    sums = place.read(SUMS)
    own = {SUMS, REPORT, *EDITABLE, *place.of_place}
    if sums is not None:
        own |= {line.partition("  ")[2] for line in sums.decode(errors="replace").splitlines()}
    folders = (STATE,) if sums is not None else (STATE, *_FOLDERS)
    return [name for name in names if name not in own and name.partition("/")[0] not in folders]


def begun(place: Destination, fingerprint: str, changed: str) -> Outcome | None:
    """Return the outcome if the export is complete already, None if it can be begun or continued.

    Args:
        place: the destination.
        fingerprint: of the export that is asked for.
        changed: why a complete one with that fingerprint is not the same; empty if it is.

    Raises:
        ExportError: the destination holds something else.
    """
    names = place.names()
    report, plan = place.read(REPORT), place.read(PLAN)
    if report is not None and SUMS in names:
        if _read_json(report).get("fingerprint") != fingerprint:
            changed = "holds a complete export of other clips, with other options or by another version of clipfarm"
        if changed:
            raise ExportError(f"{place.url}: {changed}; use another folder, or {_REPLACE}")
        place.remove_state()  # what is left of it where a kill came late
        return replace(outcome(place), was_complete=True)
    if plan is not None:
        if _read_json(plan).get("fingerprint") != fingerprint:
            raise ExportError(
                f"{place.url}: an export was begun here of other clips, with other options or another version of"
                f" clipfarm; {_REPLACE} removes it and starts over"
            )
        return None
    if _is_left(place, report, plan):
        raise ExportError(f"{place.url}: the removal of an export was broken off here; {_REPLACE} goes on")
    if foreign := [name for name in names if not name.startswith(f"{STATE}/") and name not in place.of_place]:
        raise ExportError(f"{place.url}: not empty ({foreign[0]}), expected an empty folder or an export")
    return None


def outcome(place: Destination) -> Outcome:
    """Return what a complete export holds, by its report."""
    report = _read_json(place.read(REPORT) or b"{}")
    others = set(place.of_place) - set(EDITABLE)
    names = [name for name in place.names() if not name.startswith(f"{STATE}/") and name not in others]
    return Outcome(report.get("clips", 0), len(names), place.size(names), tuple(_left_out(report)))


def _left_out(report: Mapping[str, Any]) -> list[LeftOut]:
    return [LeftOut(each["clip"], each["reason"]) for each in report.get("leftOut", [])]


def _read_json(content: bytes) -> dict[str, Any]:
    try:
        found = load(content, REPORT)
    except ContractError:
        return {}  # another program's file of that name
    return found if isinstance(found, dict) else {}

"""The whole way of an export: look, divide, make what is missing, describe, and say that it is complete."""

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from importlib.metadata import version
from typing import Any, Protocol

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError, dump, load
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import RunFolder
from clipfarm_export import card, croissant, features, previews, tables
from clipfarm_export.destination import STATE, Destination
from clipfarm_export.errors import ExportError
from clipfarm_export.job import Job
from clipfarm_export.options import Options
from clipfarm_export.parts import Part, Record, carry_out, finished
from clipfarm_export.survey import LeftOut, survey
from clipfarm_export.truth import text

REPORT = "export.json"
SUMS = "SHA256SUMS"
ALL = "all"
"""In place of a feature set: every one that the run has."""
EDITABLE = ("README.md", "croissant.json")
"""Files that their author completes; so their hashes are not recorded."""
_PLAN = f"{STATE}/plan.json"
_FOLDERS = ("data", "features", "meta", "metadata", "previews", "videos")
"""Folders that formats write."""


class Progress(Protocol):
    """What shows how far the export is."""

    def begin(self, what: str, clips: int) -> None:
        """Announce a step, and over how many clips it goes."""

    def tick(self) -> None:
        """Count a clip."""


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


def export(
    run: RunFolder,
    place: Destination,
    options: Options,
    progress: Progress,
    *,
    existing: Existing = Existing.KEEP,
    only: Indexes | None = None,
) -> Outcome:
    """Export a run.

    Args:
        run: the run's folder.
        place: the destination.
        options: what to make.
        progress: shows how far it is.
        existing: what becomes of an export that is there.
        only: the run's clips, where the folder may hold those of others, too; None: all that are there.

    Raises:
        ExportError: the run cannot be exported, or the destination holds something else.
        OSError: a file cannot be written.
    """
    progress.begin("looking at the clips", len(run.clips()))
    found = survey(run, progress.tick, only)
    if ALL in options.features:
        options = replace(options, features=tuple(sorted(found.features)))
    job = Job(run, options, found)
    form = module(options.format)
    _check(job)
    form.check(job)
    fingerprint = _fingerprint(job)
    if existing is Existing.REMOVE or (existing is Existing.REPLACE and _is_another(place, fingerprint)):
        _clear(place)
    if outcome := _begun(place, fingerprint):
        return outcome
    with place.held():
        place.write(_PLAN, dump({"fingerprint": fingerprint}).encode())
        return _all(job, form, place, progress, fingerprint)


def _all(job: Job, form: Any, place: Destination, progress: Progress, fingerprint: str) -> Outcome:
    """Make every part that is not there, and the files that speak of them."""
    options = job.options
    records = _make(form.parts(job), place, progress)
    if not any(record.facts.get("clips", 0) for record in records):
        each = next(each for record in records for each in record.left_out)
        raise ExportError(f"{job.run.root}: no clip can be exported; {each.clip}: {each.reason}")
    left_out = frozenset(each.clip for record in records for each in record.left_out)
    more = [part for name in options.features for part in features.parts(job, name, left_out)]
    extra = [
        *form.after(job, place, records),
        tables.part(job, place, [record.name for record in records]),
        previews.part(job, left_out),
    ]
    records += _make([*more, *extra], place, progress)

    progress.begin("describing", 0)
    without = [each for name in options.features for each in features.missing(job, name, left_out)]
    _describe(job, place, form, records, [*job.survey.left_out, *without], fingerprint)
    outcome = _outcome(place)
    place.remove_state()
    return outcome


def module(name: str) -> Any:
    """Return the module of a format."""
    return importlib.import_module(f"clipfarm_export.formats.{name}")


def _check(job: Job) -> None:
    """Refuse what the run does not have, before anything is made."""
    for name in job.options.features:
        if name not in job.survey.features:
            there = ", ".join(sorted(job.survey.features)) or "none"
            raise ExportError(f"--features: found {name!r}, expected a feature set of this run; it has {there}")
    layers = [name for name in job.survey.scene["experiment"]["layers"] if name != "rgb"]
    for name in job.options.layers:
        if name not in layers:
            there = ", ".join(layers) or "none but rgb"
            raise ExportError(f"--layers: found {name!r}, expected a layer of this run; it has {there}")


def _fingerprint(job: Job) -> str:
    """Return a hash of all that decides the bytes of the export."""
    digest = hashlib.sha256()
    digest.update(text(job.options.to_json() | versions()).encode())
    for clip in job.survey.clips:
        digest.update(f"\n{clip.name} {clip.sha256}".encode())
        for name in job.options.features:
            try:
                digest.update(regular.read(job.run.clip(clip.index).features_sidecar(name), name))
            except (OSError, ContractError):
                digest.update(b"\n-")
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what decides an export's bytes."""
    return {"clipfarm": version("clipfarm-export"), "av": version("av"), "pyarrow": version("pyarrow")}


def _is_another(place: Destination, fingerprint: str) -> bool:
    """Return whether an export of other clips, or with other options, is there or was begun."""
    found = place.read(REPORT) or place.read(_PLAN)
    return found is not None and _read_json(found).get("fingerprint") != fingerprint


def _clear(place: Destination) -> None:
    """Remove an export, and nothing else.

    Raises:
        ExportError: something else is there, or another export is at work.
    """
    names = [name for name in place.names() if name not in place.of_place]
    if not names:
        return
    report = _read_json(place.read(REPORT) or b"{}")
    if _PLAN not in names and not {"fingerprint", "format"} <= report.keys():
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


def _begun(place: Destination, fingerprint: str) -> Outcome | None:
    """Return the outcome if the export is complete already, None if it can be begun or continued.

    Raises:
        ExportError: the destination holds something else.
    """
    names = place.names()
    report, plan = place.read(REPORT), place.read(_PLAN)
    if report is not None and SUMS in names:
        if _read_json(report).get("fingerprint") != fingerprint:
            raise ExportError(
                f"{place.url}: holds a complete export of other clips or with other options;"
                " use another folder, or --replace (in a run file export.replace: true)"
            )
        place.remove_state()  # what is left of it where a kill came late
        outcome = _outcome(place)
        return Outcome(outcome.clips, outcome.files, outcome.size, outcome.left_out, was_complete=True)
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


def _make(parts: Sequence[Part], place: Destination, progress: Progress) -> list[Record]:
    names = frozenset(place.names())
    known = {part.name: finished(part, place, names) for part in parts}
    records = []
    progress.begin("exporting", sum(part.clips for part in parts if known[part.name] is None))
    for part in parts:
        record = known[part.name] or carry_out(part, place, progress.tick)
        records.append(record)
    return records


def _describe(
    job: Job, place: Destination, form: Any, records: Sequence[Record], early: Sequence[LeftOut], fingerprint: str
) -> None:
    """Write the files that speak of all others; the list of hashes, which makes the export complete, last."""
    files = {name: dict(entry) for record in records for name, entry in record.files.items()}
    files = {name: entry for name, entry in files.items() if not name.startswith(f"{STATE}/")}
    left_out = sorted([*early, *(each for record in records for each in record.left_out)], key=lambda each: each.clip)
    report = {
        "fingerprint": fingerprint,
        "format": job.options.format,
        "options": job.options.to_json(),
        "run": job.survey.scene,
        "phases": job.survey.phases,
        "splits": {clips[0].phase: split for split, clips in job.survey.splits.items()},
        "clips": sum(record.facts.get("clips", 0) for record in records),
        "leftOut": [each.to_json() for each in left_out],
        "versions": versions(),
    }
    small: dict[str, bytes] = {}
    for name in job.options.features:
        of_set = [record.facts for record in records if record.facts.get("set") == name]
        made = features.metadata(of_set[0]["made"]) if of_set else {}
        found = features.index(made, {facts["file"]: facts["tensors"] for facts in of_set})
        small[f"features/{name}/index.json"] = dump(found).encode()
    small |= form.describe(job, records)
    small["README.md"] = card.text(job, form, report, {name: entry["size"] for name, entry in files.items()}).encode()
    small[REPORT] = dump(report).encode()
    small["croissant.json"] = dump(croissant.document(job, report, files | _entries(small))).encode()
    for name, content in small.items():
        place.write(name, content)
    files |= {name: entry for name, entry in _entries(small).items() if name not in EDITABLE}
    lines = "".join(f"{files[name]['sha256']}  {name}\n" for name in sorted(files))
    place.write(SUMS, lines.encode())


def _entries(small: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in small.items()
    }


def _outcome(place: Destination) -> Outcome:
    report = _read_json(place.read(REPORT) or b"{}")
    others = set(place.of_place) - set(EDITABLE)
    names = [name for name in place.names() if not name.startswith(f"{STATE}/") and name not in others]
    left_out = tuple(LeftOut(each["clip"], each["reason"]) for each in report.get("leftOut", []))
    return Outcome(report.get("clips", 0), len(names), place.size(names), left_out)


def _read_json(content: bytes) -> dict[str, Any]:
    found = load(content, REPORT)
    return found if isinstance(found, dict) else {}

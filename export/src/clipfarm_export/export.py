"""The whole way of an export: look, divide, make what is missing, describe, and say that it is complete."""

import hashlib
import importlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Protocol

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError, dump
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import RunFolder
from clipfarm_export import card, croissant, features, previews, tables
from clipfarm_export.destination.base import STATE, Destination
from clipfarm_export.errors import ExportError, LeftOutError, NoClipError
from clipfarm_export.existing import (
    EDITABLE,
    PLAN,
    REPORT,
    SUMS,
    WRITTEN,
    Existing,
    Outcome,
    begun,
    clear,
    is_another,
    left_out_before,
    outcome,
)
from clipfarm_export.job import Job
from clipfarm_export.options import Options
from clipfarm_export.parts import Part, Record, carry_out, finished
from clipfarm_export.survey import LeftOut, survey
from clipfarm_export.truth import text

FILES = 2
"""Of the files' columns and names: one more where the same clips and options give other files than before, so that an
export that was begun before is not continued by them."""
ALL = "all"
"""In place of a feature set: every one that the run has."""


class Progress(Protocol):
    """What shows how far the export is."""

    def begin(self, what: str, clips: int) -> None:
        """Announce a step, and over how many clips it goes."""

    def tick(self) -> None:
        """Count a clip."""


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
        options = replace(options, features=tuple(sorted({*found.features, *options.features} - {ALL})))
    job = Job(run, options, found)
    form = module(options.format)
    _check(job)
    form.check(job)
    fingerprint = _fingerprint(job)
    another = is_another(place, fingerprint)
    changed = "" if another or existing is Existing.REMOVE else _whole_now(job, form, left_out_before(place))
    if existing is Existing.REMOVE or (existing is Existing.REPLACE and (another or changed)):
        clear(place)
        changed = ""
    if complete := begun(place, fingerprint, changed):
        return complete
    try:
        with place.held():
            place.write(PLAN, dump({"fingerprint": fingerprint}).encode())
            return _all(job, form, place, progress, fingerprint)
    except NoClipError:
        with suppress(ExportError):  # something of its user's is there: what has been made stays, too
            clear(place)
        raise


def _all(job: Job, form: Any, place: Destination, progress: Progress, fingerprint: str) -> Outcome:
    """Make every part that is not there, and the files that speak of them."""
    options = job.options
    records = _make(form.parts(job), place, progress)
    if not any(record.facts.get("clips", 0) for record in records):
        each = next(each for record in records for each in record.left_out)
        raise NoClipError(f"{job.run.root}: no clip can be exported; {each.clip}: {each.reason}")
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
    _describe(job, place, form, records, [*job.survey.left_out, *without], left_out, fingerprint)
    made = outcome(place)
    place.remove_state()
    return made


def _whole_now(job: Job, form: Any, before: Sequence[LeftOut]) -> str:
    """Return that a clip which was left out before can be exported now, because the run made it again; empty if none.

    Its ``clip.json`` is the same as before, so only a close look finds out.
    """
    clips = {clip.name: clip for clip in job.survey.clips}
    there = [each for each in before if each.clip in clips and not features.is_missing(each.reason)]
    look_again = form.look_again(job)
    damaged = {each.clip for each in there if features.set_of(job, each.reason) is None}
    for each in there:
        clip, name = clips[each.clip], features.set_of(job, each.reason)
        try:
            if name is None:
                look_again(clip)
            else:
                features.look_again(job, clip, name, damaged)
        except LeftOutError:
            continue
        return f"{clip.name} was left out ({each.reason}), and is whole now"
    return ""


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
    digest.update(text(job.options.to_json() | versions() | {"files": FILES}).encode())
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
    job: Job,
    place: Destination,
    form: Any,
    records: Sequence[Record],
    early: Sequence[LeftOut],
    damaged: Collection[str],
    fingerprint: str,
) -> None:
    """Write the files that speak of all others; the list of hashes, which makes the export complete, last.

    Args:
        job: the export.
        place: where to.
        form: the format.
        records: of all parts.
        early: what is left out, beside what the records name.
        damaged: names of the clips that looked complete and are left out.
        fingerprint: of the export.
    """
    files = {name: dict(entry) for record in records for name, entry in record.files.items()}
    files = {name: entry for name, entry in files.items() if not name.startswith(f"{STATE}/")}
    left_out = sorted([*early, *(each for record in records for each in record.left_out)], key=lambda each: each.clip)
    report: dict[str, Any] = {
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
    sizes = {name: entry["size"] for name, entry in files.items()}
    small["README.md"] = card.text(job, form, report, sizes, damaged).encode()
    small["croissant.json"] = dump(croissant.document(job, report, files)).encode()
    report[WRITTEN] = {name: _entries(small)[name]["sha256"] for name in EDITABLE}
    small[REPORT] = dump(report).encode()
    for name, content in small.items():
        place.write(name, content)
    files |= {name: entry for name, entry in _entries(small).items() if name not in EDITABLE}
    lines = "".join(f"{files[name]['sha256']}  {name}\n" for name in sorted(files))
    place.write(SUMS, lines.encode())


def _entries(small: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in small.items()
    }

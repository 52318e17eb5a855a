"""The export that ``clipfarm local`` makes when the run has ended, by ``--export`` or by the run file."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from clipfarm.cli.export import PACKAGE
from clipfarm.cli.options import fail
from clipfarm.export import Export as Asked
from clipfarm.local.job import Job

Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("hf", "webdataset", "lerobot")
NONE = "none"


@dataclass(frozen=True, slots=True)
class Export:
    """What to export of a run, and where to."""

    place: str
    asked: Asked

    def run(self, job: Job) -> int:
        """Export the clips; return the exit code."""
        options = self.asked.options(job.run.name, encodes=job.run.spec.encode.enabled)
        command = [sys.executable, "-m", PACKAGE, str(job.folder.root), self.place, *options]
        return subprocess.run(command, check=False).returncode


def export_options(command: Command) -> Command:
    """Add the options of an export; :func:`wanted` reads them."""
    form = click.option(
        "--export",
        type=click.Choice((*FORMATS, NONE)),
        help="Export the clips when the run has ended, in place of the run file's export; none: do not.",
    )
    place = click.option("--export-to", metavar="DEST", help="Where to.  [default: the run file's, or OUTPUT-FORMAT]")
    licence = click.option("--license", help="Licence of the export, such as cc-by-4.0, if the run file names none.")
    replace = click.option(
        "--export-replace", is_flag=True, help="Remove an export of other clips or options in DEST first."
    )
    return form(place(licence(replace(command))))


def wanted(job: Job, form: str | None, place: str | None, licence: str | None, *, replace: bool) -> Export | None:
    """Return the export that options and run file ask for; a mistake ends the program, before a night of rendering."""
    asked, output = job.run.spec.export, job.folder.root
    if form == NONE:
        return None
    if form is None and asked is None:
        if place or licence or replace:
            fail("--export: found none, expected a format with --export-to and --license")
        return None
    field = "--export" if form else "spec.export"
    licence = licence or (asked.license if asked else None)
    if licence is None:
        fail("--license: found none, expected the licence of the export, such as cc-by-4.0")
    if not licence.strip() or not licence.isprintable():
        fail(f"--license: found {licence[:60]!r}, expected an identifier such as cc-by-4.0, on one line")
    if importlib.util.find_spec(PACKAGE) is None:
        leave = "" if form else "; --export none renders without it"
        fail(f"{field}: not installed: {PACKAGE} (`make setup`, or the extra clipfarm[export]){leave}")
    if asked is None or form not in (None, asked.format):
        # Another format has other limits: what else the run file says is of its own.
        asked = Asked.model_construct(format=form)
    asked = asked.model_copy(update={"license": licence, "replace": asked.replace or replace})
    place = place or _place(asked, output)
    _check_place(place, output)
    return Export(place, asked)


def _check_place(place: str, output: Path) -> None:
    """Refuse a folder that the exporter would refuse only when the clips are there."""
    if "://" in place:
        return
    folder, clips = Path(place).resolve(), output.resolve()
    if folder == clips or clips in folder.parents or folder in clips.parents:
        fail(
            f"--export-to: found {folder}, which holds the clips or lies among them, expected a folder beside {output}"
        )
    if folder.exists() and not folder.is_dir():
        fail(f"--export-to: found the file {folder}, expected a folder")


def _place(asked: Asked, output: Path) -> str:
    """Return the destination: a folder is beside the one of the clips, which no other program adds to."""
    if asked.destination is None:
        return str(output.with_name(f"{output.name}-{asked.format}"))
    return asked.destination if "://" in asked.destination else str(output.parent / asked.destination)

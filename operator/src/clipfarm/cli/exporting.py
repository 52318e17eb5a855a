"""The export that ``clipfarm local --export`` makes when the run has ended."""

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
from clipfarm.local.job import Job

Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("hf", "webdataset", "lerobot")


@dataclass(frozen=True, slots=True)
class Export:
    """What to export a run to."""

    form: str
    place: str
    licence: str

    def run(self, job: Job) -> int:
        """Export the clips with all their features; return the exit code."""
        command = [sys.executable, "-m", PACKAGE, str(job.folder.root), self.place]
        command += ["--format", self.form, "--name", job.run.name, "--license", self.licence]
        if job.run.spec.encode.enabled:
            command += ["--features", "all"]
        return subprocess.run(command, check=False).returncode


def export_options(command: Command) -> Command:
    """Add the options of an export; :func:`wanted` reads them."""
    form = click.option("--export", type=click.Choice(FORMATS), help="Export the clips when the run has ended.")
    place = click.option("--export-to", metavar="DEST", help="Where to.  [default: OUTPUT-FORMAT]")
    licence = click.option("--license", help="Licence of the export, such as cc-by-4.0; required with --export.")
    return form(place(licence(command)))


def wanted(form: str | None, place: str | None, licence: str | None, output: Path) -> Export | None:
    """Return the export that the options ask for; a mistake ends the program, before a night of rendering."""
    if form is None:
        if place or licence:
            fail("--export: found none, expected a format with --export-to and --license")
        return None
    if licence is None:
        fail("--license: found none, expected the licence of the export, such as cc-by-4.0")
    if importlib.util.find_spec(PACKAGE) is None:
        fail(f"--export: not installed: {PACKAGE} (`make setup`, or the extra clipfarm[export])")
    return Export(form, place or str(output.with_name(f"{output.name}-{form}")), licence)

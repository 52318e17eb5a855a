"""The termination message of an export (:mod:`clipfarm_contract.export_end`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from clipfarm_contract.export_end import ExportEnd, grouped
from clipfarm_export.existing import Outcome


@dataclass(frozen=True, slots=True)
class Report:
    """Writes what an export came to, if somebody asks for it."""

    path: Path | None

    def made(self, outcome: Outcome) -> None:
        """Report an export that is complete."""
        reasons = grouped((each.clip, each.reason) for each in outcome.left_out)
        self._write(ExportEnd(outcome.clips, outcome.files, outcome.size, len(outcome.left_out), reasons))

    def failed(self, error: str) -> None:
        """Report why there is none."""
        self._write(ExportEnd(error=error))

    def _write(self, end: ExportEnd) -> None:
        if self.path is None:
            return
        try:
            # Written in place: a container's termination log is a mounted file, which no rename can replace.
            self.path.write_text(end.dump())
        except OSError as error:
            click.echo(f"--termination-message: {self.path} cannot be written: {error.strerror}", err=True)


@contextmanager
def reported(path: Path | None) -> Iterator[Report]:
    """Yield what writes the message; what the system refuses on the way is reported, too."""
    report = Report(path)
    try:
        yield report
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        report.failed(f"{where}{error.strerror or error}")
        raise

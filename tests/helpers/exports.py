"""Exporting a run as a user does, in this process or in one of its own."""

import hashlib
import subprocess
from pathlib import Path

from click.testing import CliRunner, Result

from clipfarm_export.cli import command
from helpers.local import CLIPFARM

TITLE = ("--name", "Pushed squares", "--license", "cc-by-4.0")


def export(run: Path, place: object, *arguments: object, form: str = "hf") -> Result:
    """Export in this process, which a program's start would take ten times as long."""
    given = [str(run), str(place), "--format", form, *TITLE, *map(str, arguments)]
    return CliRunner().invoke(command, given, standalone_mode=True)


def start(run: Path, place: object, *arguments: object, form: str = "hf") -> subprocess.Popen[str]:
    """Start an export in a process of its own."""
    return subprocess.Popen(
        [*CLIPFARM, "export", str(run), str(place), "--format", form, *TITLE, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def content(folder: Path) -> dict[str, str]:
    """Return the hash of every file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

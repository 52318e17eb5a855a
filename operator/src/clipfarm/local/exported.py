"""An export (``clipfarm export``) on this machine: its hashes, and the way back from a clip in it to a clip's folder.

Hashes need the standard library alone. A clip is taken out of it by the package that made it, ``clipfarm_export``.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.clip import FileEntry
from clipfarm_contract.examining import Findings
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder

REPORT, SUMS, STATE = "export.json", "SHA256SUMS", ".clipfarm-export"
EDITABLE = (SUMS, "README.md", "croissant.json")
"""Files without a recorded hash: the list itself, and those that their author completes."""
PACKAGE = "clipfarm_export"


class ExportedError(Exception):
    """A clip cannot be taken out of an export; the message says why."""


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an export, complete or not, and no run."""
    return (folder / REPORT).is_file() or (folder / STATE).is_dir()


def examine(folder: Path, tick: Callable[[], None] = lambda: None) -> Findings:
    """Compare every file of an export with its recorded hash."""
    if (folder / STATE).is_dir() or not (folder / SUMS).is_file():
        return Findings(wrong=["unfinished; the command that began it continues it"])
    found = Findings()
    try:
        listed = _listed(folder)
        there = {
            Path(place, name).relative_to(folder).as_posix() for place, _, names in os.walk(folder) for name in names
        }
    except ContractError as error:
        return Findings(wrong=[str(error)])
    except OSError as error:
        return Findings(unread=[f"{error.filename}: {regular.describe(error)}"])
    for name, sha256 in sorted(listed.items()):
        try:
            if FileEntry.of(folder / name).sha256 != sha256:
                found.wrong.append(f"{name}: sha256 is not the one in {SUMS}")
        except ContractError as error:
            found.wrong.append(str(error))
        except OSError as error:
            missing = regular.is_gone(error)
            (found.wrong if missing else found.unread).append(
                f"{name}: {'missing' if missing else regular.describe(error)}"
            )
        tick()
    found.wrong += [f"{name}: not part of the export" for name in sorted(there - listed.keys() - {*EDITABLE})]
    return found


def count_files(folder: Path) -> int:
    """Return how many files have a recorded hash; 0 if that is not known."""
    try:
        return len(_listed(folder))
    except (OSError, ContractError):
        return 0


def clips(folder: Path) -> list[int]:
    """Return the numbers of an export's clips.

    Raises:
        ExportedError: they cannot be read.
    """
    return [int(line) for line in _restore(folder).split()]


def restore(folder: Path, index: int, into: RunFolder) -> None:
    """Write a clip of an export as a clip's folder.

    Raises:
        ExportedError: it cannot be.
    """
    _restore(folder, str(index), str(into.root))


def _listed(folder: Path) -> dict[str, str]:
    listed = {}
    for line in regular.read(folder / SUMS, SUMS).decode("utf-8", "replace").splitlines():
        sha256, separator, name = line.partition("  ")
        if not separator or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ContractError(f"{SUMS}: found the line {line[:80]!r}, expected a hash and the name of a file")
        listed[name] = sha256
    return listed


def _restore(folder: Path, *arguments: str) -> str:
    if importlib.util.find_spec(PACKAGE) is None:
        raise ExportedError(f"not installed: {PACKAGE} (`make setup`, or the extra clipfarm[export])")
    command = [sys.executable, "-m", f"{PACKAGE}.restore", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ExportedError(lines[-1] if lines else f"{PACKAGE}.restore ended with {done.returncode}")
    return done.stdout

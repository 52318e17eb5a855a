"""The gallery's folder: the page, and beside it the data as scripts, which a page opened as a file can load."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clipfarm.gallery import places
from clipfarm.gallery.rows import Failure, Row
from clipfarm.gallery.table import table, truths
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.layout import RunFolder

CLIPS_A_FILE = 100
"""Clips whose truth is in one file: some 200 kB, loaded when one of them is opened."""
PAGE = resources.files("clipfarm.gallery") / "page"


def write(folder: Path, run: RunFolder, rows: Sequence[Row], failures: Sequence[Failure]) -> None:
    """Write page and data; strips that are there already are named in the data.

    Raises:
        OSError: the folder cannot be written; the error names the file.
    """
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.index // CLIPS_A_FILE, []).append(row)
    for number, group in groups.items():
        write_atomically(data / f"truth-{number:05d}.js", script("truth", truths(group)))
    write_atomically(data / "clips.js", script("clips", document(folder, run, rows, failures)))
    for each in PAGE.iterdir():
        write_atomically(folder / each.name, each.read_bytes())


def document(folder: Path, run: RunFolder, rows: Sequence[Row], failures: Sequence[Failure]) -> dict[str, Any]:
    """Return what the page loads first."""
    shown = {row.index: len(places.chosen(row.frames)) for row in rows if places.strip(folder, row.index).exists()}
    link = quote(Path(os.path.relpath(run.root, folder)).as_posix())
    about = {"name": run.root.name, "run": link, "clipsAFile": CLIPS_A_FILE, "features": _features(folder, rows)}
    return about | table(rows, failures, shown)


def _features(folder: Path, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the sets whose features are there as pictures, and which clips have them."""
    parent = folder / places.FEATURES
    names = sorted(each.name for each in parent.iterdir() if each.is_dir()) if parent.is_dir() else []
    return [
        {"name": name, "there": [int(places.feature_strip(folder, name, row.index).exists()) for row in rows]}
        for name in names
    ]


def script(kind: str, value: Mapping[str, Any]) -> str:
    """Return a script that hands data to the page."""
    return f"gallery.receive({json.dumps(kind)}, {json.dumps(value, separators=(',', ':'), allow_nan=False)});\n"

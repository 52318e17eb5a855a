"""The gallery's folder: the page, and beside it the data as scripts, which a page opened as a file can load."""

import json
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clipfarm.gallery import places
from clipfarm.gallery.rows import Failure, Row
from clipfarm.gallery.table import table, truths
from clipfarm_contract import regular
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder

CLIPS_A_FILE = 100
"""Clips whose truth is in one file: some 200 kB, loaded when one of them is opened."""
PAGE = resources.files("clipfarm.gallery") / "page"
INDEX = "index.html"
LARGEST_PAGE = 2**20
"""Bytes of a page that may be one of a gallery."""


def write(folder: Path, run: RunFolder, rows: Sequence[Row], failures: Sequence[Failure]) -> None:
    """Write page and data; strips that are there already are named in the data.

    Raises:
        OSError: the folder cannot be written; the error names the file.
    """
    data = folder / "data"
    for old in data.glob("truth-*.js"):
        old.unlink(missing_ok=True)
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.index // CLIPS_A_FILE, []).append(row)
    for number, group in groups.items():
        write_atomically(data / f"truth-{number:05d}.js", script("truth", truths(group)))
    write_atomically(data / "clips.js", script("clips", document(folder, run, rows, failures)))
    for name in _page():
        write_atomically(folder / name, (PAGE / name).read_bytes())


def foreign(folder: Path) -> str | None:
    """Return the name of a file that a gallery would overwrite and that belongs to another page; None if there is none.

    Raises:
        OSError: the folder cannot be read.
    """
    there = [name for name in _page() if (folder / name).exists()]
    if not there or (there[0] == INDEX and _is_gallery(folder / INDEX)):
        return None
    return there[0]


def _is_gallery(page: Path) -> bool:
    try:
        return b'src="data/clips.js"' in regular.read(page, page.name, LARGEST_PAGE)
    except ContractError:
        return False


def _page() -> list[str]:
    """Return the names of the page's files; first the one by which :func:`foreign` knows a gallery."""
    return sorted((each.name for each in PAGE.iterdir()), key=lambda name: (name != INDEX, name))


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

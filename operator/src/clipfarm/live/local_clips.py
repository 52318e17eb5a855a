"""The clips of a run folder that grows, as the page shows them: read once each, a part at a time."""

import io
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from clipfarm.gallery import places
from clipfarm.gallery.rows import Failure, Row, failures, features, rows
from clipfarm.gallery.table import table, truths
from clipfarm.gallery.write import CLIPS_A_FILE
from clipfarm_contract.layout import RunFolder

MOST_AT_ONCE = 500
"""Clips that are read for one request, in about half a second; the page asks again for the others."""
STRIPS_KEPT = 1000
"""Thumbnails in memory, 15 kB each."""


class LocalClips:
    """Clips that were complete when the page last asked. It may be asked by several threads."""

    def __init__(self, folder: RunFolder, sets: int = 1) -> None:
        """Begin with no clip.

        Args:
            folder: the run's.
            sets: feature sets that a clip has when it is done.
        """
        self._folder = folder
        self._sets = sets
        self._looked = -1
        """The last clip whose features were looked for again."""
        self._lock = threading.Lock()
        self._rows: dict[int, Row | Failure] = {}
        self._finished: dict[int, float] = {}
        """When each clip was completed, Unix time."""
        self.strip = lru_cache(STRIPS_KEPT)(self._strip)

    def table(self) -> Mapping[str, Any]:
        """Return the clips as columns, and whether others are still to be read."""
        with self._lock:
            there = self._folder.clips()
            more = self._read(there)
            read = [self._rows[index] for index in there if index in self._rows]
            found = [each for each in read if isinstance(each, Row)]
            finished = [self._finished[row.index] for row in found]
        strips = {row.index: len(places.chosen(row.frames)) for row in found} if _makes_strips() else {}
        failed = [each for each in read if isinstance(each, Failure)] + failures(self._folder, there)
        columns = table(found, failed, strips)
        about = {"name": self._folder.root.name, "run": "run", "clipsAFile": CLIPS_A_FILE, "live": True}
        return about | columns | {"finished": finished, "more": more}

    def truths(self, number: int) -> Mapping[str, Any]:
        """Return the truth of the clips in one file."""
        first = number * CLIPS_A_FILE
        with self._lock:
            found = [self._rows.get(index) for index in range(first, first + CLIPS_A_FILE)]
        return truths([each for each in found if isinstance(each, Row)])

    def file(self, index: int, name: str) -> Path | None:
        """Return the place of a clip's file."""
        return self._folder.clip(index).folder / name

    def _read(self, there: list[int]) -> bool:
        """Read clips that are new, and some that could not be read before; return whether new ones are left."""
        new = [index for index in there if index not in self._rows]
        wrong = [index for index in there if isinstance(self._rows.get(index), Failure)]
        for found in rows(self._folder, (new + wrong)[:MOST_AT_ONCE]):
            self._rows[found.index] = found
            try:
                self._finished[found.index] = round(self._folder.clip(found.index).manifest.stat().st_mtime, 1)
            except OSError:
                self._finished[found.index] = 0.0
        self._read_features()
        return len(new) > MOST_AT_ONCE

    def _read_features(self) -> None:
        """Look in turn at some clips whose features may have come since; clips that never get any delay no other."""
        found = (each for each in self._rows.values() if isinstance(each, Row) and len(each.features) < self._sets)
        open_ = sorted(found, key=lambda row: (row.index <= self._looked, row.index))[:MOST_AT_ONCE]
        for row in open_:
            self._rows[row.index] = replace(row, features=features(self._folder.clip(row.index)))
            self._looked = row.index

    def _strip(self, index: int) -> bytes | None:
        if not _makes_strips():
            return None
        from clipfarm.gallery import strips

        try:
            made = strips.make(self._folder.clip(index))
        except OSError:
            return None  # the page shows what it can
        if made is None:
            return None
        packed = io.BytesIO()
        made.save(packed, "WEBP", quality=strips.QUALITY, method=0)
        return packed.getvalue()


def _makes_strips() -> bool:
    try:
        import PIL  # noqa: F401
    except ImportError:
        return False
    return True

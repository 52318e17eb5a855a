"""What is in a folder of clips, and what has changed since the last look."""

import os
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from clipfarm_encode.files.finding import Found, found_in


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look has found to be otherwise than before."""

    fresh: list[Found]
    """Complete clips that are new, or took the place of another, in order of their numbers."""
    gone: set[str]
    """Names of clips that are there no more."""


class Listing:
    """The clips of a folder.

    A look is one listing, which works on file systems that report no changes, such as NFS. A folder's time of
    modification would be cheaper to ask for, but an NFS client may hold an old one for a minute.
    """

    def __init__(self, root: Path, wanted: Container[int] | None = None) -> None:
        """Prepare to look.

        Args:
            root: the folder.
            wanted: numbers of the clips to look at; None: all.
        """
        self.clips: dict[str, Found] = {}
        """By name, complete clips as of the last look."""
        self._root = root
        self._wanted = wanted

    def look(self) -> Changes:
        """Look, and return what has changed since the last look; the first finds every clip fresh.

        Raises:
            OSError: the folder cannot be listed.
        """
        fresh: list[Found] = []
        present = set()
        with os.scandir(self._root) as entries:
            for entry in entries:
                present.add(entry.name)
                known = self.clips.get(entry.name)
                if known is not None and known.inode == entry.inode():
                    continue
                found = found_in(entry)
                if found and found.is_one_of(self._wanted) and found.clip.is_complete:
                    fresh.append(found)
        gone = self.clips.keys() - present
        for name in gone:
            # Forgotten: its inode may be given to the one that takes its place.
            del self.clips[name]
        self.clips |= {found.name: found for found in fresh}
        return Changes(sorted(fresh, key=lambda each: each.order), gone)

"""Which clips a folder holds."""

import os
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from clipfarm_contract.layout import Clip

_NAME = re.compile(r"clip_(\d+)")


@dataclass(frozen=True, slots=True)
class Found:
    """A clip's folder as a listing shows it."""

    name: str
    inode: int
    """Distinguishes a clip from another that took its place under the same name."""
    path: Path

    @property
    def clip(self) -> Clip:
        """Where the clip's files lie."""
        return Clip(self.path)

    def is_one_of(self, wanted: Container[int] | None) -> bool:
        """Return whether the clip's number is wanted; all are where None is."""
        return wanted is None or self.order[0] in wanted

    @property
    def order(self) -> tuple[int, str]:
        """Sorts clips by their numbers."""
        return int(self.name.removeprefix("clip_")), self.name


def found_in(entry: os.DirEntry[str]) -> Found | None:
    """Return the clip that an entry of a listing is: a folder named ``clip_<number>``."""
    if not _NAME.fullmatch(entry.name) or not entry.is_dir():
        return None
    return Found(entry.name, entry.inode(), Path(entry.path))


def find_clips(root: Path, wanted: Container[int] | None = None) -> list[Found]:
    """Return the clips in a folder, in order of their numbers; one listing, no look inside.

    Only those whose numbers are ``wanted``, where that is given.

    Raises:
        OSError: the folder cannot be listed.
    """
    with os.scandir(root) as entries:
        found = [each for entry in entries if (each := found_in(entry)) and each.is_one_of(wanted)]
    return sorted(found, key=lambda each: each.order)

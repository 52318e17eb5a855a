"""Which videos a folder holds."""

import os
from collections.abc import Iterator
from pathlib import Path

from clipfarm_encode.videos import film
from clipfarm_encode.videos.pictures import is_picture


def find_videos(root: Path, leave_out: Path) -> Iterator[str]:
    """Yield videos below a folder by their paths from it, in an order that every machine agrees on.

    A folder with pictures in it is a video. So is a folder that cannot be listed, which the cut then refuses. Names
    that begin with a dot, and ``leave_out``, are not looked into. Links to folders are followed, after all that is not
    behind one; a folder that is reached twice is looked into once.

    Raises:
        OSError: the root cannot be listed.
    """
    seen: set[tuple[int, int]] = set()
    tops = [root]
    while tops:
        linked: list[Path] = []
        for top in tops:
            unlisted: list[OSError] = []
            for folder, folders, files in os.walk(top, onerror=unlisted.append):
                here, status = Path(folder), os.stat(folder)  # noqa: PTH116 - it is a text already
                if (status.st_dev, status.st_ino) in seen:
                    folders.clear()
                    continue
                seen.add((status.st_dev, status.st_ino))
                folders[:] = sorted(name for name in folders if not name.startswith(".") and here / name != leave_out)
                linked += [here / name for name in folders if (here / name).is_symlink()]
                yield from (path.relative_to(root).as_posix() for path in _videos_of(here, files))
            for error in unlisted:
                if error.filename == os.fspath(root):
                    raise error
                yield Path(error.filename).relative_to(root).as_posix()
        tops = linked


def _videos_of(folder: Path, files: list[str]) -> Iterator[Path]:
    """Yield the videos of a folder: itself, if it has pictures, and its files."""
    names = [name for name in sorted(files) if not name.startswith(".")]
    if any(is_picture(name) for name in names):
        yield folder
    yield from (folder / name for name in names if name.lower().endswith(film.SUFFIXES))

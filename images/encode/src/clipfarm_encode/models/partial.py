"""Files and folders of downloads under way, which go with this process if it is asked to end."""

import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATTERN = ".*.part-????????"
ABANDONED_SECONDS = 24 * 3600.0
_TRIES = 5
_under_way: set[Path] = set()
_lock = threading.Lock()


@contextmanager
def named(path: Path) -> Iterator[Path]:
    """Yield a name beside a path, and remove what has it at the end, whatever that is."""
    temporary = path.with_name(f".{path.name}.part-{secrets.token_hex(4)}")
    with _lock:
        _under_way.add(temporary)
    try:
        yield temporary
    finally:
        _remove(temporary)
        with _lock:
            _under_way.discard(temporary)


def abandon() -> None:
    """Remove all, from another thread than the one that downloads: the process is about to end."""
    with _lock:
        found = list(_under_way)
    for path in found:
        for _ in range(_TRIES):  # the other thread may be putting a file there
            _remove(path)


def remove_old(folder: Path) -> None:
    """Remove what a download left a day ago whose process was killed."""
    for path in folder.glob(PATTERN):
        try:
            old = time.time() - path.stat().st_mtime > ABANDONED_SECONDS
        except FileNotFoundError:
            continue  # its own process was faster
        if old:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

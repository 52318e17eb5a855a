"""One process at a time, if the file system has locks."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipfarm_contract import locks


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process in at a time; all of them if the file cannot be made or locked."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = locks.opened(path)
            stack.callback(os.close, descriptor)
            locks.take(descriptor, path, wait=True)
        yield

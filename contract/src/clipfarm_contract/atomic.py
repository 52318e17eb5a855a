"""Writing a file so that no reader ever sees a part of it."""

import secrets
from pathlib import Path


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file by rename, so that a reader sees the old or the new content and never a part.

    Raises:
        OSError: it cannot be written; the error names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        temporary.replace(path)
    except OSError as error:  # of a disk that is full it says no name
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)

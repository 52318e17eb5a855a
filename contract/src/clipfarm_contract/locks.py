"""Locks of the file system, flock(2).

A lock goes with the last descriptor of the file that was opened, however its processes end: a child that inherits the
descriptor holds it, too. If a lock cannot be had because the file system has none, nothing is known of who holds it:
that is an error here, and never an answer.
"""

import errno
import fcntl
import os
import stat
from pathlib import Path


def opened(path: Path) -> int:
    """Return a descriptor of a lock's file, which is made if it is missing.

    For reading and writing: NFS gives a shared lock only of a file that was opened for reading, and an exclusive one
    only of a file that was opened for writing.

    Raises:
        OSError: it cannot be opened or made, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return descriptor


def take(descriptor: int, path: Path, *, shared: bool = False, wait: bool = False) -> bool:
    """Take a lock; False if another process holds it.

    Args:
        descriptor: of the file.
        path: its path, for the error.
        shared: together with others that take it so.
        wait: until it can be had.

    Raises:
        OSError: the file system gives no locks.
    """
    operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return False
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    return True

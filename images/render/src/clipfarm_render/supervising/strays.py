"""Processes that a child has left behind: in a session of their own, where no signal to its group reaches them.

The kernel gives them to us when their parent ends, and they are ended before a clip is looked at. Otherwise one of
them could write into a clip that is complete.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
"""linux/prctl.h"""
PATIENCE_SECONDS = 2.0
"""For strays to be gone. SIGKILL takes a moment, and a fork in the middle of it another."""


def adopt() -> None:
    """Become the parent of all descendants whose own parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end(but: Collection[int]) -> bool:
    """End all children with all that they started; return whether they are gone.

    Does nothing in a process that has not asked for strays: its children are its own.

    Args:
        but: processes that stay, with what they started.
    """
    if not _adopts():
        return True
    until = time.monotonic() + PATIENCE_SECONDS
    while strays := _children() - set(but):
        for pid in strays:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _adopts() -> bool:
    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def _children() -> set[int]:
    me = os.getpid()
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(entry) == me}


def _parent(process: Path) -> int | None:
    try:
        # The name of the program is in brackets, and may hold anything; what follows it does not.
        return int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None

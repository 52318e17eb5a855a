"""What lies in the output folder before anything starts."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clipfarm.local.job import Job
from clipfarm_contract.clip import ClipState, discard, inspect
from clipfarm_contract.layout import RunFolder


class FolderError(Exception):
    """The output folder cannot be used; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The clips of a job as they are found."""

    complete: frozenset[int]
    damaged: tuple[tuple[int, str], ...]
    """Clips that have to be made again, with what is wrong."""
    missing: tuple[int, ...]
    """Clips to be made, the damaged ones included, in order."""


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Hold the output folder: two executors would write the same clips.

    The lock goes with the process, however that ends.

    Raises:
        FolderError: another process holds it, or the folder cannot be written.
    """
    try:
        folder.state.mkdir(parents=True, exist_ok=True)
        file = folder.lock.open("a+")
    except OSError as error:
        raise FolderError(f"{folder.root}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise FolderError(f"{folder.root}: in use by {holder}; wait for it, or use another folder") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def scan(job: Job) -> Scan:
    """Tell which clips are complete, by their recipe and the sizes of their files.

    Raises:
        FolderError: a clip was made from another recipe, and would be mixed with this run's.
    """
    complete: set[int] = set()
    damaged: list[tuple[int, str]] = []
    foreign: list[tuple[int, str]] = []
    present = set(job.folder.clips())
    for clip in job.clips:
        if clip not in present:
            continue
        found = inspect(job.folder.clip(clip), job.recipe(clip), job.renderer)
        if found.state is ClipState.COMPLETE:
            complete.add(clip)
        elif found.state is ClipState.FOREIGN:
            foreign.append((clip, found.reason))
        else:
            damaged.append((clip, found.reason))
    if foreign:
        clip, reason = foreign[0]
        more = f" (and {len(foreign) - 1} more clips differ)" if len(foreign) > 1 else ""
        raise FolderError(
            f"{job.folder.clip(clip).folder}: {reason}{more}; use another --output, or --force_restart to start over"
        )
    missing = tuple(clip for clip in job.clips if clip not in complete)
    return Scan(frozenset(complete), tuple(damaged), missing)


def sweep(folder: RunFolder) -> int:
    """Remove what writers that were killed left behind; return how many folders that was."""
    attempts = folder.attempts()
    for attempt in attempts:
        discard(attempt)
    for old in folder.root.glob(".clip_*.discarded-*"):
        discard(old)
    return len(attempts)


def start_over(job: Job) -> int:
    """Remove the job's clips, whatever they were made from; return how many there were."""
    present = set(job.folder.clips()) & set(job.clips)
    for clip in present:
        discard(job.folder.clip(clip).folder)
        job.folder.result(clip).unlink(missing_ok=True)
        job.folder.log(clip).unlink(missing_ok=True)
    return len(present)

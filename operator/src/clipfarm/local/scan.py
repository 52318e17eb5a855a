"""What lies in the output folder before anything starts."""

import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clipfarm.local.features import wanted
from clipfarm.local.job import Job
from clipfarm_contract import features, locks
from clipfarm_contract.clip import ClipManifest, ClipState, inspect
from clipfarm_contract.completing import discard
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.text import printable
from clipfarm_contract.writers import nobody_writes

WRITERS_END_SECONDS = 3.0
ORPHANS_END_SECONDS = 10.0
"""A supervisor ends within a second of its executor, and an encoder saves for up to two seconds more."""
POLL_SECONDS = 0.05
MOST_HOLDER_BYTES = 300
_HOLDER = re.compile(r"process (\d{1,9})(?: on (\S+))?")


class FolderError(Exception):
    """The output folder cannot be used; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The clips of a job as they are found."""

    complete: frozenset[int]
    encoded: frozenset[int]
    """Of these, clips with the features that the run asks for."""
    damaged: tuple[tuple[int, str], ...]
    """Clips that have to be made again, with what is wrong."""
    missing: tuple[int, ...]
    """Clips to be made, the damaged ones included, in order."""
    unreadable: Mapping[int, str] = field(default_factory=dict)
    """Clips of which an error of reading hides what they are, and which error: neither counted nor made."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The output folder, held by this process and by whatever it starts there."""

    descriptor: int
    unsure: str = ""
    """Why no other run is kept out; empty if it is."""


@contextmanager
def locked(folder: RunFolder, patience: float = ORPHANS_END_SECONDS) -> Iterator[Lock]:
    """Hold the output folder: two executors would write the same clips.

    The lock goes with the last process that holds it, however that ends. What an executor has started that was killed
    ends by itself, within ``patience`` seconds.

    Raises:
        FolderError: another process holds it, or the folder cannot be written.
    """
    try:
        folder.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"{folder.root}: {error.strerror}") from error
    try:
        descriptor = locks.opened(folder.lock)
    except OSError as error:
        raise FolderError(f"{folder.lock}: {error.strerror}") from error
    try:
        yield Lock(descriptor, _take(descriptor, folder, patience))
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: RunFolder, patience: float) -> str:
    """Take the folder's lock; return why that keeps no other run out, or nothing."""
    deadline = time.monotonic() + patience
    here = f"process {os.getpid()} on {socket.gethostname()}"
    try:
        while not locks.take(descriptor, folder.lock):
            holder = os.pread(descriptor, MOST_HOLDER_BYTES, 0).decode("utf-8", "replace").strip()
            if not _has_ended(holder):
                who = printable(holder) or "another process"
                raise FolderError(f"{folder.root}: in use by {who}; wait for it, or use another folder")
            if time.monotonic() > deadline:
                raise FolderError(
                    f"{folder.root}: in use by what {printable(holder)} has started, though that has ended;"
                    " end it, or use another folder"
                )
            time.sleep(POLL_SECONDS)
    except OSError as error:
        return f"{folder.lock} cannot be locked: {error.strerror}"
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, here.encode(), 0)
    except OSError as error:
        raise FolderError(f"{folder.lock}: {error.strerror}") from error
    return ""


def _has_ended(holder: str) -> bool:
    """Return whether a process that has written its name into a lock is known to have ended."""
    found = _HOLDER.fullmatch(holder)
    if not found or (found[2] or socket.gethostname()) != socket.gethostname():
        return False
    try:
        os.kill(int(found[1]), 0)
        stat = Path(f"/proc/{found[1]}/stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return True
    except OSError:
        return False
    # Its name, in brackets, may hold anything; what follows is its state.
    return stat.rpartition(")")[2].split()[:1] == ["Z"]


def scan(job: Job) -> Scan:
    """Return which clips are complete, by their recipe and the sizes of their files.

    Raises:
        FolderError: a clip or its features were made from another recipe, and would be mixed with this run's.
    """
    complete: set[int] = set()
    damaged: list[tuple[int, str]] = []
    foreign: list[tuple[int, str]] = []
    unreadable: dict[int, str] = {}
    present = set(job.folder.clips())
    wanted = set(job.clips)
    for clip in sorted(present - wanted):
        difference = _difference_of_other(job, clip)
        if difference:
            foreign.append((clip, difference))
    for clip in sorted(present & wanted):
        found = inspect(job.folder.clip(clip), job.recipe(clip), job.renderer)
        if found.state is ClipState.COMPLETE:
            complete.add(clip)
        elif found.state is ClipState.FOREIGN:
            foreign.append((clip, found.reason))
        elif found.state is ClipState.UNREADABLE:
            unreadable[clip] = found.reason
        else:
            damaged.append((clip, found.reason))
    if foreign:
        clip, reason = foreign[0]
        more = f", and so are others of the {len(present)} clips there" if len(foreign) > 1 else ""
        raise FolderError(
            f"{job.folder.clip(clip).folder}: {reason}{more}; use another --output, or --force-restart to start over"
        )
    missing = tuple(clip for clip in job.clips if clip not in complete and clip not in unreadable)
    return Scan(frozenset(complete), _encoded(job, complete), tuple(damaged), missing, unreadable)


def _difference_of_other(job: Job, clip: int) -> str | None:
    """Return in what a clip outside the job differs from one of the same run; its own law of friction may differ."""
    try:
        manifest = ClipManifest.read(job.folder.clip(clip).manifest)
    except (OSError, ContractError):
        return None
    made = manifest.recipe
    same = job.recipe(job.clips[0]).of_phase(made)
    difference = same.difference(made)
    if difference is None and manifest.renderer != job.renderer:
        difference = "another renderer"
    return f"made with {difference}" if difference else None


def _encoded(job: Job, complete: set[int]) -> frozenset[int]:
    encode = job.run.spec.encode
    if not encode.enabled:
        return frozenset()
    done, asked = set(), wanted(encode)
    for clip in sorted(complete):
        states = set()
        for each in asked:
            state, difference = features.inspect(job.folder.clip(clip), each)
            if state is features.State.OTHER:
                raise FolderError(
                    f"{each.path(job.folder.clip(clip))}: {difference};"
                    " use another --output, another name for the features, or remove these to encode again"
                )
            states.add(state)
        if states == {features.State.DONE}:
            done.add(clip)
    return frozenset(done)


@dataclass(frozen=True, slots=True)
class Swept:
    """Half-made clips that writers have left behind."""

    removed: int = 0
    left: int = 0
    why: str = ""
    """Why those are left."""


def sweep(folder: RunFolder) -> Swept:
    """Remove what writers that were killed left behind.

    Nothing is removed while a writer is alive: one of another program, or one of an executor that was killed just
    now, which ends within a second by itself. Nor if that is not known.
    """
    attempts = folder.attempts()
    try:
        if not nobody_writes(folder, WRITERS_END_SECONDS):
            return Swept(left=len(attempts), why="another program is writing clips there")
    except OSError as error:
        why = f"it is unknown whether a process still writes them: {error.filename}: {error.strerror}"
        return Swept(left=len(attempts), why=why)
    attempts = folder.attempts()  # what ended while it was waited for has taken its own away
    for attempt in attempts:
        discard(attempt)
    for old in folder.root.glob(".clip_*.discarded-*"):
        discard(old)
    return Swept(removed=len(attempts))


def start_over(job: Job) -> int:
    """Remove the job's clips, whatever they were made from; return how many there were."""
    present = set(job.folder.clips()) & set(job.clips)
    for clip in present:
        discard(job.folder.clip(clip).folder)
        job.folder.result(clip).unlink(missing_ok=True)
        job.folder.log(clip).unlink(missing_ok=True)
    return len(present)

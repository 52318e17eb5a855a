"""What lies in the output folder before anything starts."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from clipfarm.local.features import wanted
from clipfarm.local.job import Job
from clipfarm_contract import features
from clipfarm_contract.clip import ClipManifest, ClipState, discard, inspect
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.writers import nobody_writes

WRITERS_END_SECONDS = 3.0


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
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
        except OSError as error:
            raise FolderError(f"{folder.root}: {error.strerror}") from error
        yield


def scan(job: Job) -> Scan:
    """Tell which clips are complete, by their recipe and the sizes of their files.

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
            f"{job.folder.clip(clip).folder}: {reason}{more}; use another --output, or --force_restart to start over"
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
    same = replace(job.recipe(job.clips[0]), index=made.index, phase=made.phase)
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
        state, difference = features.inspect(job.folder.clip(clip), asked)
        if state is features.State.OTHER:
            raise FolderError(
                f"{job.folder.clip(clip).features(encode.model)}: {difference};"
                " use another --output, or remove the feature_maps folders to encode again"
            )
        if state is features.State.DONE:
            done.add(clip)
    return frozenset(done)


def sweep(folder: RunFolder) -> int:
    """Remove what writers that were killed left behind; return how many folders that was.

    Nothing is removed while a writer is alive: one of another program, or one of an executor that was killed just
    now, which ends within a second by itself.
    """
    if not nobody_writes(folder, WRITERS_END_SECONDS):
        return 0
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

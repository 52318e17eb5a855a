"""What lies in the output folder before anything starts."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipfarm.local.job import Job
from clipfarm.run import Encode
from clipfarm_contract.clip import ClipState, discard, inspect
from clipfarm_contract.layout import RunFolder


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
        FolderError: a clip or its features were made from another recipe, and would be mixed with this run's.
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
        more = f", and so are others of the {len(present)} clips there" if len(foreign) > 1 else ""
        raise FolderError(
            f"{job.folder.clip(clip).folder}: {reason}{more}; use another --output, or --force_restart to start over"
        )
    missing = tuple(clip for clip in job.clips if clip not in complete)
    return Scan(frozenset(complete), _encoded(job, complete), tuple(damaged), missing)


def _encoded(job: Job, complete: set[int]) -> frozenset[int]:
    encode = job.run.spec.encode
    if not encode.enabled:
        return frozenset()
    done = [clip for clip in sorted(complete) if job.folder.clip(clip).features(encode.model).exists()]
    for clip in done:
        difference = _features_difference(job.folder.clip(clip).features_sidecar(encode.model), encode)
        if difference:
            raise FolderError(
                f"{job.folder.clip(clip).features(encode.model)}: {difference};"
                " use another --output, or remove the feature_maps folders to encode again"
            )
    return frozenset(done)


def _features_difference(sidecar: Path, encode: Encode) -> str | None:
    """Return in what features differ from the ones wanted, by their sidecar; None where they do not.

    The encoder itself compares the weights' hash, too, when it starts.
    """
    assert encode.weights is not None, "an enabled encoder has weights"
    try:
        made = json.loads(sidecar.read_text())
        found = (made["weights"]["source"], made["dtype"], made["preprocessing"]["crop"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"no readable {sidecar.name} beside it that says how it was made"
    wanted = (encode.weights.name, {"fp16": "float16", "fp32": "float32"}[encode.dtype], encode.crop_size)
    for name, is_, should_be in zip(("weights", "dtype", "crop size"), found, wanted, strict=True):
        if is_ != should_be:
            return f"made with {name} {is_} instead of {should_be}"
    return None


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

"""Which clips are to be encoded: those without features, once or for as long as new ones come."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_encode.clips import Found, find_clips
from clipfarm_encode.features import Recipe, State, inspect
from clipfarm_encode.progress import Reporter

POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Destination:
    """Where features go, and what becomes of features that are there already."""

    recipe: Recipe
    out_dir: Path | None
    """Mirrors the clips' folders; None: into the clips' own."""
    overwrite: bool

    def clip(self, found: Found) -> Clip:
        """Return the clip whose ``feature_maps`` get the features."""
        return found.clip if self.out_dir is None else Clip(self.out_dir / found.name)


@dataclass(frozen=True, slots=True)
class Survey:
    """Clips by what is to be done about them."""

    pending: list[Found] = field(default_factory=list)
    done: list[Found] = field(default_factory=list)
    other: list[tuple[Found, str]] = field(default_factory=list)
    """With features that were made otherwise, and in what they differ."""


def survey(clips: Iterable[Found], destination: Destination) -> Survey:
    """Look at the features of each clip; sidecars and headers are read, arrays are not."""
    result = Survey()
    for found in clips:
        if destination.overwrite:
            result.pending.append(found)
            continue
        state, reason = inspect(destination.clip(found), destination.recipe)
        if state is State.ABSENT:
            result.pending.append(found)
        elif state is State.DONE:
            result.done.append(found)
        else:
            result.other.append((found, reason))
    return result


def once(surveyed: Survey, reporter: Reporter) -> Iterator[Found]:
    """Yield the clips of a survey that need features."""
    reporter.tally.skipped |= {found.name for found in surveyed.done}
    reporter.tally.found |= {found.name for found in (*surveyed.done, *surveyed.pending)}
    yield from surveyed.pending


def first(limit: int | None, clips: Iterator[Found | None]) -> Iterator[Found | None]:
    """Yield clips until there were ``limit`` of them; all where it is None."""
    if limit is None:
        yield from clips
        return
    count = 0
    for found in clips:
        yield found
        count += found is not None
        if count == limit:
            return


def watch(
    root: Path,
    destination: Destination,
    reporter: Reporter,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Found | None]:
    """Yield clips as they become complete, and None whenever there is none for the moment.

    Ends when the run's ``all-rendered`` marker is there and every clip has had its turn. Each look is one listing
    of the folder: cheap at 20,000 clips, and on filesystems that tell nobody of changes, such as NFS. A clip that
    another one has replaced gets another turn.
    """
    seen: dict[str, int] = {}
    tally = reporter.tally
    marker = RunFolder(root).all_rendered
    while True:
        no_more = marker.exists()  # before the listing: what was complete when the marker was set is listed
        listed = find_clips(root)
        fresh = [found for found in listed if seen.get(found.name) != found.inode and found.clip.manifest.exists()]
        names = {found.name for found in listed}
        # A clip that is gone is forgotten: its inode may be given to the one that takes its place.
        seen = {name: inode for name, inode in seen.items() if name in names}
        seen |= {found.name: found.inode for found in fresh}
        surveyed = survey(fresh, destination)
        for found in fresh:
            tally.forget(found.name)
            tally.found.add(found.name)
        tally.skipped |= {found.name for found in surveyed.done}
        for found, reason in surveyed.other:
            reporter.failed(found.name, reason)
        yield from surveyed.pending
        if surveyed.pending:
            continue
        yield None
        if no_more:
            return
        before = time.monotonic()
        sleep(POLL_SECONDS)
        tally.idle += time.monotonic() - before

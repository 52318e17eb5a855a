"""Which clips are to be encoded: those without features."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from clipfarm_contract import regular
from clipfarm_contract.features import State
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip
from clipfarm_encode.files.clips import Found
from clipfarm_encode.files.features import Recipe, inspect
from clipfarm_encode.files.identity import Identity
from clipfarm_encode.reporting.progress import Reporter


@dataclass(frozen=True, slots=True)
class Destination:
    """Where features go, and what becomes of features that are there already."""

    recipe: Recipe
    out_dir: Path | None
    """Mirrors the clips' folders; None: into the clips' own."""
    overwrite: bool
    """Replace features that were made otherwise; without ``watch`` all features."""

    def clip(self, found: Found) -> Clip:
        """Return the clip whose ``feature_maps`` get the features."""
        return found.clip if self.out_dir is None else Clip(self.out_dir / found.name)

    def inspect(self, found: Found) -> tuple[State, str]:
        """Tell whether a clip needs features (ABSENT), and if it has others that stay, in what they differ."""
        state, reason = inspect(self.clip(found), self.recipe, found.clip)
        return (State.ABSENT, "") if state is State.OTHER and self.overwrite else (state, reason)


@dataclass(frozen=True, slots=True)
class Survey:
    """Clips by what is to be done about them."""

    pending: list[Found] = field(default_factory=list)
    done: list[Found] = field(default_factory=list)
    other: list[tuple[Found, str]] = field(default_factory=list)
    """With features that were made otherwise, and in what they differ."""
    foreign: list[tuple[Found, str]] = field(default_factory=list)
    """Of another run, and in what they differ: neither looked into nor written to."""
    unknown: list[tuple[Found, str]] = field(default_factory=list)
    """With a ``clip.json`` that does not say whose they are, and why."""
    unreadable: list[tuple[Found, str]] = field(default_factory=list)
    """Whose ``clip.json`` or features could not be read, which may pass, and why."""


class Source(Protocol):
    """Where clips to encode come from."""

    def __iter__(self) -> Iterator[Found | None]:
        """Yield clips, and None whenever there is none for the moment."""
        ...

    def settled(self, found: Found, *, unread: bool = False) -> None:
        """Take note that a clip has its features, or cannot get any; called from any thread.

        Args:
            found: the clip.
            unread: it could not be read, which may pass.
        """
        ...


def survey(clips: Iterable[Found], destination: Destination, identity: Identity | None = None) -> Survey:
    """Look whose each clip is, where one run's are wanted, and at its features.

    ``clip.json``, sidecars and headers are read, arrays are not.
    """
    result = Survey()
    for found in clips:
        if identity is not None:
            try:
                difference = identity.difference(found)
            except OSError as error:
                missing = isinstance(error, FileNotFoundError)
                result.unreadable.append((found, f"clip.json: {'missing' if missing else regular.describe(error)}"))
                continue
            except ContractError as error:
                result.unknown.append((found, str(error)))
                continue
            if difference:
                result.foreign.append((found, difference))
                continue
        state, reason = destination.inspect(found)
        if state is State.ABSENT:
            result.pending.append(found)
        elif state is State.DONE:
            result.done.append(found)
        elif state is State.UNREADABLE:
            result.unreadable.append((found, reason))
        else:
            result.other.append((found, reason))
    return result


class Once:
    """The clips of a survey that need features; with ``again`` those too that have them."""

    def __init__(self, surveyed: Survey, reporter: Reporter, *, again: bool = False) -> None:
        self._clips = surveyed.pending
        if again:
            self._clips = sorted([*surveyed.pending, *surveyed.done], key=lambda each: each.order)
        else:
            reporter.skipped(found.name for found in surveyed.done)
        reporter.found(found.name for found in (*surveyed.done, *surveyed.pending))
        report(surveyed, reporter)

    def __iter__(self) -> Iterator[Found | None]:
        yield from self._clips

    def settled(self, found: Found, *, unread: bool = False) -> None:
        """Nothing to do: there is no other encoder."""


def report(surveyed: Survey, reporter: Reporter) -> None:
    """Report the clips of a survey that are not to be encoded, and why."""
    reporter.foreign({found.name: difference for found, difference in surveyed.foreign})
    failed = [*surveyed.unknown, *surveyed.unreadable]
    reporter.found(found.name for found, _ in failed)
    for found, reason in failed:
        reporter.failed(found.name, reason)


def first(limit: int | None, clips: Iterable[Found | None]) -> Iterator[Found | None]:
    """Yield clips until there were ``limit`` of them; all where it is None."""
    count = 0
    for found in clips:
        yield found
        count += found is not None
        if count == limit:
            return

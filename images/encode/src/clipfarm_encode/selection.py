"""Which clips are to be encoded, for each feature set: those without its features."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from clipfarm_contract import regular
from clipfarm_contract.features import State
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip
from clipfarm_encode.files.features import inspect
from clipfarm_encode.files.finding import Found
from clipfarm_encode.files.identity import Identity
from clipfarm_encode.files.recipe import Recipe
from clipfarm_encode.reporting.account import Account


@dataclass(frozen=True, slots=True)
class Destination:
    """Where features of a set go, and what becomes of features that are there already."""

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


@dataclass(frozen=True, slots=True)
class Turn:
    """A clip that is to be encoded for one of the feature sets."""

    found: Found
    number: int = 0
    """Of the set."""


class Source(Protocol):
    """Where clips to encode come from."""

    def __iter__(self) -> Iterator[Turn | None]:
        """Yield clips, and None whenever there is none for the moment."""
        ...

    def settled(self, turn: Turn, *, unread: bool = False) -> None:
        """Take note that a clip has its features, or cannot get any; called from any thread.

        Args:
            turn: the clip.
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
    """The clips of surveys that need features, set by set; with ``again`` those too that have them."""

    def __init__(self, surveys: Sequence[tuple[Survey, Account]], *, again: bool = False) -> None:
        self._turns: list[Turn] = []
        for number, (surveyed, account) in enumerate(surveys):
            clips = surveyed.pending
            if again:
                clips = sorted([*surveyed.pending, *surveyed.done], key=lambda each: each.order)
            account.found(found.name for found in (*surveyed.done, *surveyed.pending))
            if not again:
                account.skipped(found.name for found in surveyed.done)
            report(surveyed, account)
            self._turns += [Turn(found, number) for found in clips]

    def __iter__(self) -> Iterator[Turn | None]:
        yield from self._turns

    def settled(self, turn: Turn, *, unread: bool = False) -> None:
        """Nothing to do: there is no other encoder."""


def report(surveyed: Survey, account: Account) -> None:
    """Report the clips of a survey that are not to be encoded, and why."""
    account.foreign({found.name: difference for found, difference in surveyed.foreign})
    failed = [*surveyed.unknown, *surveyed.unreadable]
    account.found(found.name for found, _ in failed)
    for found, reason in failed:
        account.failed(found.name, reason)


def first(limit: int | None, source: Source, sets: int = 1) -> Iterator[Turn | None]:
    """Yield clips until there were ``limit`` of them for each of the sets; all where it is None."""
    counts = [0] * sets
    for turn in source:
        if turn is None:
            yield None
        elif counts[turn.number] == limit:
            source.settled(turn)
        else:
            counts[turn.number] += 1
            yield turn
        if all(count == limit for count in counts):
            return

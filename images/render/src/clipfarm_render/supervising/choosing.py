"""Which clips a command line asks for."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.indexes import Indexes


class UsageError(Exception):
    """The command line or the environment is wrong; nothing was tried."""


def read_given(option: str, path: Path) -> str:
    """Return the text of a file that an option names.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return regular.read_given(path, f"{option}: {path}").decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{option}: {path} cannot be read: {error}") from error


def choose(
    index: int | None, count: int, clips: str | None, block: int | None, *, serve: bool
) -> tuple[Indexes, Sequence[int]]:
    """Return all clips that are named, and those of them to make; none if they are given one by one (``serve``).

    Raises:
        UsageError: the options do not go together, or name no clip.
    """
    if serve + (index is not None) + (clips is not None) != 1 or (clips is None) != (block is None):
        raise UsageError("expected either --index, or --clips with --block, or --serve")
    if serve:
        return Indexes(), ()
    if index is not None:
        return Indexes.between(index, index + count - 1), range(index, index + count)
    assert clips is not None
    assert block is not None
    try:
        known = Indexes.parse(clips)
    except ValueError:
        raise UsageError(f'--clips: found "{clips[:60]}", expected ranges such as 0-99,200') from None
    chosen = list(itertools.islice(known, block * count, (block + 1) * count))
    if not chosen:
        raise UsageError(f"--block: found {block}, but --clips has no clips left for it")
    return known, chosen

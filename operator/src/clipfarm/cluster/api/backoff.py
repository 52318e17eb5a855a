"""How long to wait before a request that failed is made again."""

import random

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
"""A fault that lasts is looked at twice a minute: soon enough for people, and no load."""
LONGEST_TOLD_SECONDS = 120.0
"""The longest pause that a server may ask for. Priority and fairness in the API server asks for a second or a few."""


def pause(
    failures: int, asked: float | None = None, *, longest: float = LONGEST_SECONDS, chance: float | None = None
) -> float:
    """Return how long to wait, seconds: twice as long after each failure, and never all at the same time.

    Args:
        failures: how many there were in a row, at least 1.
        asked: what the server asked for (Retry-After), seconds; None: nothing.
        longest: of a pause that the server did not ask for, seconds.
        chance: from 0 to 1, for the jitter; None: drawn here.

    Between half of the full pause and all of it, so that requests that failed together spread out.
    """
    full = min(longest, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    drawn = random.random() if chance is None else chance  # noqa: S311 - no secret
    own = full * (0.5 + 0.5 * drawn)
    if asked is None:
        return own
    # What was asked for is the least: jitter comes on top.
    return min(LONGEST_TOLD_SECONDS, max(0.0, asked)) + own


def retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header names; None without one, or for a date: API servers send none."""
    try:
        seconds = float(text) if text else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None

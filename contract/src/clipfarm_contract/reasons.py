"""Reasons for which clips fail, compared."""

import re

_VARIES = re.compile(r"[^\s/]*\d[^\s/]*|clipfarm-\w+")
"""A word, or a part of a path, that holds a digit; or the name of a scratch folder, which has none now and then."""
_MOST_TEXT = 1000


def alike(reason: str) -> str:
    """Return what a reason has in common with those of other clips: all but words with a digit.

    Numbers, seeds, and names of clips and scratch folders differ between clips even if the cause is the same.
    """
    return _VARIES.sub("…", reason[:_MOST_TEXT])

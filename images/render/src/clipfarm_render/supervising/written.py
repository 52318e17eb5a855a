"""What a renderer has written: the files of a clip, under the names that others look for."""

from collections.abc import Sequence
from pathlib import Path

from clipfarm_contract.clip import FEATURES
from clipfarm_contract.layout import Clip
from clipfarm_contract.tree import UnfitError, files


def check(attempt: Path, frames: int) -> None:
    """Look at a renderer's files before they become a clip.

    Args:
        attempt: the folder that it was given.
        frames: how many frames a clip of the run has.

    Raises:
        UnfitError: the files are not those of a clip.
        OSError: they cannot be looked at.
    """
    names = files(attempt)
    own = Clip(attempt)
    if own.manifest.name in names:
        raise UnfitError(f"{own.manifest.name}: written by the renderer, expected none: the supervisor makes it")
    if (attempt / FEATURES).exists():
        raise UnfitError(f"{FEATURES}: made by the renderer, expected none: that folder is the encoder's")
    prefix = f"{own.rgb.name}/"
    problem = _frames_problem([name.removeprefix(prefix) for name in names if name.startswith(prefix)], frames)
    if problem:
        raise UnfitError(f"{prefix}{problem}")


def _frames_problem(names: Sequence[str], frames: int) -> str:
    """Return what is wrong with the names of frames; a clip may have none, and then it cannot be encoded."""
    expected = [Clip(Path()).frame(i).name for i in range(frames)]
    found = {name for name in names if not name.startswith(".")}
    odd = sorted(found.difference(expected))
    if odd:
        return f"{odd[0]}: found {len(found)} files, expected {frames}: {expected[0]} to {expected[-1]}"
    lacking = [name for name in expected if name not in found] if found else []
    return f"{lacking[0]}: missing, found {len(found)} of {frames} frames" if lacking else ""

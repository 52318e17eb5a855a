"""What a folder of clips says of the videos that they are excerpts of."""

from pathlib import Path

from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.excerpt import Cut, Videos
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder


class OtherVideosError(ContractError):
    """The folder has clips of videos that lie elsewhere."""


def settle(folder: RunFolder, videos: Videos, *, moved: bool = False) -> None:
    """Write down where the videos are and how they are cut, in ``videos.json``.

    Args:
        folder: of the clips.
        videos: what is asked for.
        moved: the videos of the clips that are there lie elsewhere now.

    Raises:
        OtherVideosError: the folder has clips of videos that lie elsewhere.
        ContractError: it has clips that were cut otherwise, or are not of videos.
        OSError: it cannot be written.
    """
    if not settled(folder, videos, moved=moved):
        write_atomically(folder.videos, videos.to_json())


def settled(folder: RunFolder, videos: Videos, *, moved: bool = False) -> bool:
    """Return whether ``videos.json`` says it already.

    Raises:
        As :func:`settle`.
    """
    # Looked at before videos.json, which another encoder that begins now writes before its first clip.
    clips = folder.clips()
    try:
        before = Videos.read(folder)
    except FileNotFoundError:
        if clips:
            raise ContractError(f"{folder.root} has clips that were not made of videos; name another folder") from None
    else:
        if before.cut != videos.cut:
            raise ContractError(
                f"{folder.root} has clips of {_described(before.cut)}, found {_described(videos.cut)};"
                " name another folder"
            )
        if _same(before.root, videos.root):
            return True
        if not moved:
            raise OtherVideosError(
                f"{folder.root} has clips of the videos in {before.root}, found {videos.root}; name another folder"
            )
    return False


def _same(before: str, now: str) -> bool:
    """Return whether two paths lead to one folder; of one that is gone its name alone says it."""
    try:
        return before == now or Path(before).samefile(now)
    except OSError:
        return False


def _described(cut: Cut) -> str:
    rate = "all frames" if cut.fps is None else f"{cut.fps:g} frames a second"
    return f"--frames {cut.frames} --stride {cut.stride} ({rate})"

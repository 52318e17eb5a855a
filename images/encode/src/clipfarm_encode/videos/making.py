"""Videos to clips, as ``clipfarm encode`` and an encoder that is given a folder of videos do it before they begin."""

from pathlib import Path

from clipfarm_contract.excerpt import Cut, Videos
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder
from clipfarm_encode.videos.cutting import Outcome, cut_all, is_utf8
from clipfarm_encode.videos.finding import find_videos
from clipfarm_encode.videos.folder import settle, settled

REFUSED_SHOWN = 20


def check(videos: Path, folder: RunFolder, cut: Cut, *, moved: bool = False) -> None:
    """Check what :func:`make_clips` is asked for, and write nothing.

    Raises:
        As :func:`make_clips`.
    """
    settled(folder, _asked(videos, cut), moved=moved)


def make_clips(videos: Path, folder: RunFolder, cut: Cut, *, moved: bool = False) -> Outcome:
    """Cut a video, or all videos of a folder, into clips; those that are there stay.

    Args:
        videos: the video, or the folder.
        folder: of the clips.
        cut: how.
        moved: the videos of the clips that are there lie elsewhere now.

    Raises:
        OtherVideosError: the folder has clips of videos that lie elsewhere.
        ContractError: the videos are not there, or the folder has other clips; the message is one line.
        OSError: a folder cannot be read or written.
    """
    asked = _asked(videos, cut)
    settle(folder, asked, moved=moved)
    root = Path(asked.root)
    names = find_videos(root, folder.root) if videos.is_dir() else [videos.name]
    return cut_all(root, names, folder, cut)


def lines(outcome: Outcome, videos: Path) -> list[str]:
    """Return what people want to know of a cut."""
    if not outcome.videos:
        return [f"{videos}: found no video, expected files such as .mp4, .webm or .avi, or folders of pictures"]
    refused = sorted(outcome.refused.items())
    said = [f"{name}: passed over: {reason}" for name, reason in refused[:REFUSED_SHOWN]]
    if (more := len(refused) - REFUSED_SHOWN) > 0:
        said.append(f"and {more} more")
    return [*said, f"{outcome.videos} videos, {len(refused)} of them passed over: {outcome.clips} clips"]


def _asked(videos: Path, cut: Cut) -> Videos:
    if not videos.exists():
        raise ContractError(f"{videos}: not found, expected a video or a folder with videos")
    if not is_utf8(str(videos.absolute())):
        raise ContractError(f"{videos}: its path is not UTF-8, expected one that videos.json can hold")
    return Videos(str((videos if videos.is_dir() else videos.parent).absolute()), cut)

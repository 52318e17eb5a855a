"""A clip that is an excerpt of somebody else's video: ``video.json`` in its folder, in place of frames."""

from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError, Fields, dump, load
from clipfarm_contract.layout import Clip, RunFolder


@dataclass(frozen=True, slots=True)
class Cut:
    """How videos become clips."""

    frames: int
    """Frames of a clip."""
    stride: int
    """Frames from the beginning of one clip to that of the next."""
    fps: float | None = None
    """Frames a second that are taken of a video; None: all of them."""

    @classmethod
    def asked(cls, frames: int, stride: int | None, fps: float | None) -> "Cut":
        """Return what is asked for; without a stride clips follow one after the other."""
        return cls(frames, stride or frames, fps)


@dataclass(frozen=True, slots=True)
class Videos:
    """Where the videos lie of which a folder's clips are excerpts, and how they are cut."""

    root: str
    cut: Cut

    @classmethod
    def read(cls, folder: RunFolder) -> "Videos":
        """Read the folder's ``videos.json``.

        Raises:
            OSError: it cannot be read.
            ContractError: it is none.
        """
        fields = Fields(load(regular.read(folder.videos, folder.videos.name), folder.videos.name), folder.videos.name)
        made = cls(
            fields.take("root", str),
            Cut(fields.take("frames", int), fields.take("stride", int), fields.maybe("fps", float)),
        )
        fields.done()
        return made

    def to_json(self) -> str:
        """Return the file's content."""
        return dump({"root": self.root} | asdict(self.cut))


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Which frames of which video a clip has."""

    video: str
    """Path from the videos' folder, with ``/``: a file, or a folder of pictures."""
    size: int
    """Bytes of the file, or number of pictures, when it was cut."""
    part: int
    """Which of the video's clips this is, from 0."""
    parts: int
    """Number of clips of the video."""
    first: int
    """The clip's first frame, counted at ``fps``."""
    frames: int
    """Number of the clip's frames."""
    fps: float | None
    """Frames a second at which the video is taken; None: it is a folder of pictures."""

    @classmethod
    def read(cls, clip: Clip) -> "Excerpt":
        """Read a clip's ``video.json``.

        Raises:
            OSError: it cannot be read.
            ContractError: it is none.
        """
        name = clip.excerpt.name
        fields = Fields(load(regular.read(clip.excerpt, name), name), name)
        made = cls(
            fields.take("video", str),
            fields.take("size", int),
            fields.take("part", int),
            fields.take("parts", int),
            fields.take("first", int),
            fields.take("frames", int),
            fields.maybe("fps", float),
        )
        fields.done()
        path = PurePosixPath(made.video)
        if path.is_absolute() or ".." in path.parts or made.frames < 1 or made.first < 0:
            raise ContractError(f"{name}: found {made.video}, frames {made.first} and on, expected a part of a video")
        return made

    def to_json(self) -> str:
        """Return the file's content."""
        return dump(asdict(self))

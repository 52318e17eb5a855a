"""The source of a run that renders nothing: somebody else's videos."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from clipfarm.cel import Rule
from clipfarm.model import FileName, Model, Positive, Text
from clipfarm_contract.extraction import MOST_FRAMES

if TYPE_CHECKING:
    from clipfarm.run import RunSpec

VOLUME = "/clips"
"""Where the run's volume lies in a pod."""
MOUNTED = "/videos"
"""Below which another claim lies there, by its name."""


class Videos(Model):
    """Videos that are cut into clips."""

    folder: FileName
    """Folder with video files, or folders of pictures, at any depth. In a cluster a path on the run's volume, or on
    that of claimName; on one machine a path from the current folder."""
    claim_name: Annotated[Text, Field(min_length=1)] | None = None
    """Name of a PersistentVolumeClaim that holds the folder, mounted read-only; default: the run's volume."""
    frames: int = Field(default=32, ge=1, le=MOST_FRAMES)
    """Frames of a clip; a multiple of what the encoder's model takes at a time, as experiment.frames."""
    stride: Annotated[int, Field(ge=1, le=MOST_FRAMES)] | None = None
    """Frames from the beginning of a clip to that of the video's next; default: frames."""
    frame_rate: Annotated[Positive, Field(le=1000)] | None = None
    """Frames a second to take of each video; default: all its frames."""

    rules = (
        Rule(
            lambda videos: (
                f"folder: found {videos.folder}, expected a path from the root of the claim, without / before it"
                if videos.claim_name is not None and videos.folder.startswith("/")
                else None
            ),
            cel="!has(self.claimName) || !self.folder.startsWith('/')",
            message="expected a path from the root of the claim, without / before it",
            field=".folder",
        ),
    )

    @property
    def in_a_pod(self) -> str:
        """Path of the folder in an encoder's pod."""
        root = PurePosixPath(MOUNTED, self.claim_name) if self.claim_name else PurePosixPath(VOLUME)
        return str(root / self.folder)

    def options(self) -> list[str]:
        """Return the encoder's options about how videos are cut."""
        made = ["--clip-frames", str(self.frames)]
        made += ["--clip-stride", str(self.stride)] if self.stride else []
        return made + self.fps()

    def fps(self) -> list[str]:
        """Return the option about the frame rate, which every program that cuts the videos has: to the last digit."""
        return [] if self.frame_rate is None else ["--fps", repr(self.frame_rate).removesuffix(".0")]


class Source(Model):
    """Clips that are not rendered."""

    videos: Videos
    """Somebody else's videos."""


def _not_one(spec: "RunSpec") -> str | None:
    if spec.source is not None:
        return "source: expected either experiment or source, found both" if spec.experiment is not None else None
    return "experiment: missing, expected experiment or source" if spec.experiment is None else None


def _clips_of_a_source(spec: "RunSpec") -> str | None:
    if spec.source is None:
        return "clips: missing" if spec.clips is None else None
    return (
        "clips: expected only with an experiment; videos are cut into as many as they give"
        if spec.clips is not None
        else None
    )


def _rendering_of_a_source(spec: "RunSpec") -> str | None:
    if spec.source is None:
        return None
    if spec.workers is not None:
        return "workers: expected only with an experiment; encode.replicas is the number of encoders"
    if spec.export is not None:
        return "export: expected only with an experiment; clips of videos are not exported"
    return "suspend: expected only with an experiment" if spec.suspend else None


def _nothing_to_do(spec: "RunSpec") -> str | None:
    if spec.source is None or spec.encode.enabled:
        return None
    return "encode.enabled: found false, expected true with source: nothing else is done with videos"


RULES = (
    Rule(
        _not_one,
        cel="has(self.experiment) != has(self.source)",
        message="expected either experiment or source",
        field=".experiment",
    ),
    Rule(
        _clips_of_a_source,
        cel="has(self.clips) == has(self.experiment)",
        message="expected with an experiment, and not with source",
        field=".clips",
    ),
    Rule(
        _rendering_of_a_source,
        cel="!has(self.source) || !has(self.workers)",
        message="expected only with an experiment; encode.replicas is the number of encoders",
        field=".workers",
    ),
    Rule(
        lambda _: None,  # with the rule before
        cel="!has(self.source) || !has(self.export)",
        message="expected only with an experiment; clips of videos are not exported",
        field=".export",
    ),
    Rule(
        lambda _: None,  # with the rules before
        cel="!has(self.source) || !self.suspend",
        message="expected only with an experiment",
        field=".suspend",
    ),
    Rule(
        _nothing_to_do,
        cel="!has(self.source) || self.encode.enabled",
        message="expected true with source: nothing else is done with videos",
        field=".encode.enabled",
    ),
)
"""Rules of ``spec`` about it."""

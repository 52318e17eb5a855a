"""Where each file of a clip and of a run lies."""

import os
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipfarm_contract import regular

_CLIP = re.compile(r"clip_(\d{5,})")
VIEWS = "views"
"""The folder of a clip's further views."""
LAYERS_SUFFIX = ".safetensors"
"""Of features of several layers."""
_ATTEMPT = re.compile(r"\.clip_(\d{5,})\.([A-Za-z0-9-]+)")


def clip_name(index: int) -> str:
    """Return ``clip_00042`` for 42."""
    return f"clip_{index:05d}"


def clip_index(name: str) -> int | None:
    """Return 42 for ``clip_00042``, None for any other name."""
    match = _CLIP.fullmatch(name)
    return int(match[1]) if match and clip_name(int(match[1])) == name else None


def is_attempt(name: str) -> bool:
    """Tell whether a folder's name is that of a clip still being written, as ``.clip_00042.1f3a``."""
    return _ATTEMPT.fullmatch(name) is not None


def _indexes(entries: Iterable[os.DirEntry[str]]) -> Iterator[int]:
    return (index for entry in entries if (index := clip_index(entry.name)) is not None)


@dataclass(frozen=True, slots=True)
class Clip:
    """The files of one clip, in its folder."""

    folder: Path

    def frame(self, i: int) -> Path:
        """8-bit RGB PNG, ``resolution`` pixels wide and high."""
        return self.folder / "rgb" / f"frame_{i:05d}.png"

    @property
    def rgb(self) -> Path:
        """The folder of the frames."""
        return self.folder / "rgb"

    def layer(self, name: str, i: int) -> Path:
        """A frame of a layer that was asked for (:mod:`clipfarm_contract.layers`)."""
        if name == "segmentation":
            return self.folder / name / f"seg_{i:05d}.png"
        return self.frame(i) if name == "rgb" else self.folder / name / f"{name}_{i:05d}.npy"

    def view(self, name: str) -> "Clip":
        """Return a further view: a folder with frames, layers and a preview of its own, and nothing else."""
        return Clip(self.folder / VIEWS / name)

    @property
    def actions(self) -> Path:
        """(frames, 2) float32: the impulse on x and y in N s, zero but at ``impulse.atFrame``."""
        return self.folder / "actions_states" / "actions.npy"

    @property
    def states(self) -> Path:
        """(frames, 2) float32: the position of the object, x and y in m."""
        return self.folder / "actions_states" / "ground_truth_states.npy"

    @property
    def ground_truth(self) -> Path:
        """JSON: phase, friction, mass, impulse, object, camera, video, seed, versions."""
        return self.folder / "ground_truth.json"

    @property
    def preview(self) -> Path:
        """The clip as an animated GIF, for people."""
        return self.folder / "preview.gif"

    @property
    def manifest(self) -> Path:
        """``clip.json``, written last (:mod:`clipfarm_contract.clip`)."""
        return self.folder / "clip.json"

    @property
    def excerpt(self) -> Path:
        """``video.json``: which frames of somebody else's video this is (:mod:`clipfarm_contract.excerpt`)."""
        return self.folder / "video.json"

    @property
    def is_complete(self) -> bool:
        """Whether the clip is rendered, or is an excerpt of a video; its frames are not looked at."""
        return regular.may_exist(self.manifest) or regular.may_exist(self.excerpt)

    def features(self, name: str, *, several: bool = False) -> Path:
        """(tokens, width) features of a set; ``several`` arrays of that shape lie in one safetensors file."""
        return self.folder / "feature_maps" / f"{name}{LAYERS_SUFFIX if several else '.npy'}"

    def features_sidecar(self, name: str) -> Path:
        """JSON beside the features: how they were made."""
        return self.folder / "feature_maps" / f"{name}.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder of clips, with the run's own files under ``.clipfarm``."""

    root: Path

    def clip(self, index: int) -> Clip:
        """Return the clip's final place."""
        return Clip(self.root / clip_name(index))

    def attempt(self, index: int, token: str) -> Path:
        """Return where the clip is written until it is complete: beside its final place, to be renamed."""
        return self.root / f".{clip_name(index)}.{token}"

    def clips(self) -> list[int]:
        """Return the indexes that have a folder, complete or not, in order."""
        if not self.root.is_dir():
            return []
        found = (clip_index(entry.name) for entry in self.root.iterdir())
        return sorted(index for index in found if index is not None)

    def has_clip_of(self, clips: Container[int]) -> bool:
        """Return whether one of some clips is there, complete by its ``clip.json``; its files are not looked at."""
        try:
            with os.scandir(self.root) as entries:
                return any(self.clip(index).manifest.exists() for index in _indexes(entries) if index in clips)
        except FileNotFoundError:
            return False

    def attempts(self) -> list[Path]:
        """Return the folders of clips that a process is writing, or was writing when it was killed."""
        if not self.root.is_dir():
            return []
        return sorted(entry for entry in self.root.iterdir() if is_attempt(entry.name))

    @property
    def state(self) -> Path:
        """The folder of the run's own files."""
        return self.root / ".clipfarm"

    @property
    def cache(self) -> Path:
        """What the renderers of a run share, and can make again."""
        return self.state / "cache"

    def module(self, sha256: str) -> Path:
        """Return where the renderer keeps an experiment of the user's own, by its hash, to make clips again."""
        return self.state / "modules" / f"{sha256}.py"

    @property
    def lock(self) -> Path:
        """Held by the one local executor that works on this folder."""
        return self.state / "lock"

    @property
    def writers(self) -> Path:
        """Held, shared, by everybody who is writing a clip (:mod:`clipfarm_contract.writers`)."""
        return self.state / "writers"

    @property
    def all_rendered(self) -> Path:
        """Exists when no more clips will come: a watching encoder may end after the last one."""
        return self.state / "all-rendered"

    @property
    def videos(self) -> Path:
        """JSON: where the videos lie of which the clips are excerpts, and how they are cut."""
        return self.state / "videos.json"

    def encode_log(self, number: int = 0) -> Path:
        """The running summary of one of the local encoders, JSON, replaced after each batch."""
        return self.state / (f"encode-{number}.json" if number else "encode.json")

    def claims(self, name: str) -> Path:
        """The folder in which encoders say which clips they are at work on for a set of features."""
        return self.state / "claims" / name

    def result(self, index: int) -> Path:
        """What the supervisor reported of the clip's last attempt (:mod:`clipfarm_contract.result`)."""
        return self.state / "results" / f"{clip_name(index)}.json"

    def log(self, index: int) -> Path:
        """The end of the renderer's output, kept when a clip failed."""
        return self.state / "logs" / f"{clip_name(index)}.log"

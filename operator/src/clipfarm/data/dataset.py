"""``ClipDataset``: clips with their features as training loops take them."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from clipfarm.data.errors import DataError
from clipfarm.data.exported import ExportedClip, is_export, of_export
from clipfarm.data.feature_files import FeatureFile
from clipfarm.data.sources import RunClip, of_run
from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of a clip before it is read."""

    clip: RunClip | ExportedClip
    features: tuple[FeatureFile, ...]
    steps: int
    """Time steps that all its arrays have."""
    stride: int
    """Frames of a time step."""
    frames: int | None
    """Frames that have actions and states; None: it has neither."""


class ClipDataset:
    """The clips of a run folder or of an export, each as a dictionary; PyTorch's ``DataLoader`` takes it as it is.

    An item has these entries, NumPy arrays that belong to the caller (``DataLoader`` turns them into tensors):

    - ``features``: (time steps, tokens, width) in the type in which they were saved; a dictionary of such arrays if
      several sets are asked for; left out if none is.
    - ``actions``: (frames, 2) float32, the impulse on x and y, N s. ``states``: (frames, 2) float32, the position, m;
      (frames, bodies, 13) if there are several bodies. Both are left out if the clips have not both files, as those of
      other people's video.
    - ``clip_name``: as ``clip_00042``.

    With a window, an item is a part of a clip: ``window`` time steps of the features, and the frames of the same time.

    Files are mapped while an item is read and closed again, so any number of clips and of workers costs no memory and
    no open files. Clips without the features are left out: ``left_out`` says which, and why.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        features: str | Sequence[str] | None = None,
        *,
        split: str | None = None,
        window: int | None = None,
        step: int | None = None,
    ) -> None:
        """Look at every clip once, without reading its values.

        Args:
            folder: a run folder, with clips such as ``clip_00042``; or what ``clipfarm export --format hf`` wrote.
            features: a set's name, or several; ``SET/TENSOR`` names a layer of a set with several. By default, the
                only set that the clips have.
            split: the phase whose clips are wanted; by default all.
            window: time steps of an item; by default whole clips. Without features a time step is a frame.
            step: time steps from the beginning of a window to that of the next; by default ``window``, so that windows
                do not overlap.

        Raises:
            DataError: the folder holds no such clips.
        """
        if window is not None and operator.index(window) < 1:
            raise DataError(f"window: found {window}, expected 1 or more")
        if step is not None and (window is None or operator.index(step) < 1):
            raise DataError(f"step: found {step}, expected 1 or more, with a window")
        self.folder = Path(folder)
        self.left_out: dict[str, str] = {}
        """Clips that are not part of the data set, with the reason of each."""
        clips: Sequence[RunClip | ExportedClip]
        clips = of_export(self.folder) if is_export(self.folder) else of_run(self.folder)
        if not clips:
            raise DataError(f"{self.folder}: no clips, expected folders such as clip_00042, or an export")
        if split is not None:
            clips = _of_split(clips, split, self.folder)
        self._several = features is not None and not isinstance(features, str)
        self.features = _asked(features, clips)
        """Names of the sets in an item."""
        entries = [entry for clip in clips if (entry := self._look(clip))]
        if not entries:
            name, reason = next(iter(self.left_out.items()))
            raise DataError(f"{self.folder}: no clip can be read; {name}: {reason}")
        self._truth = any(entry.frames is not None for entry in entries)
        if self._truth:  # items of one data set have the same entries
            others = [entry for entry in entries if entry.frames is None]
            self.left_out |= {entry.clip.name: "no actions and states" for entry in others}
            entries = [entry for entry in entries if entry.frames is not None]
        self._window = window
        self.windows = tuple(_windows(entries, window, step))
        """The clip and the first time step of each item."""
        if not self.windows:
            longest = max(entry.steps for entry in entries)
            raise DataError(f"window: found {window}, but clips have at most {longest} time steps")

    def __len__(self) -> int:
        """Number of items."""
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read an item.

        Raises:
            IndexError: there is no such item.
            DataError: its files have changed since the data set was made; the message names them.
        """
        entry, first = self.windows[index]
        steps = self._window or entry.steps
        clip = entry.clip
        try:
            arrays = [file.read(first, steps) for file in entry.features]
            item: dict[str, Any] = {}
            if self._several and arrays:
                item["features"] = dict(zip(self.features, arrays, strict=True))
            elif arrays:
                item["features"] = arrays[0]
            if self._truth:
                frames = slice(first * entry.stride, (first + steps) * entry.stride)
                item["actions"], item["states"] = clip.rows(frames)
        except (OSError, ValueError) as error:
            raise DataError(f"{clip.place}: {error}; it was readable when the data set was made") from error
        return item | {"clip_name": clip.name}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Read all items in order."""
        return (self[i] for i in range(len(self)))

    def _look(self, clip: RunClip | ExportedClip) -> _Entry | None:
        """Return what is known of a clip, or put it among those that are left out."""
        try:
            files = tuple(clip.find(name) for name in self.features)
            frames = clip.frames()
        except ContractError as error:
            self.left_out[clip.name] = str(error)
            return None
        except OSError as error:
            self.left_out[clip.name] = regular.describe(error)
            return None
        if not files and frames is None:
            self.left_out[clip.name] = "neither features nor states"
            return None
        stride = files[0].stride if files else 1
        steps = min([file.shape[0] for file in files], default=frames or 0)
        if odd := next((file for file in files if file.stride != stride), None):
            self.left_out[clip.name] = f"{odd.path.name}: found {odd.stride} frames a time step, not {stride}"
            return None
        return _Entry(clip, files, min(steps, frames // stride) if frames else steps, stride, frames)


def _asked(features: str | Sequence[str] | None, clips: Sequence[RunClip | ExportedClip]) -> tuple[str, ...]:
    if isinstance(features, str):
        return (features,)
    if features is not None:
        return tuple(features)
    for clip in clips:
        if found := clip.sets():
            if len(found) > 1:
                raise DataError(f"{clip.place}: found several feature sets, name one: {', '.join(found)}")
            return tuple(found)
    return ()


def _of_split(clips: Sequence[RunClip | ExportedClip], split: str, folder: Path) -> list[RunClip | ExportedClip]:
    splits = [clip.splits for clip in clips]
    wanted = [clip for clip, own in zip(clips, splits, strict=True) if split in own]
    if not wanted:
        known = sorted(frozenset().union(*splits))
        more = ", ..." if len(known) > NAMES_SHOWN else ""
        raise DataError(f"{folder}: found no clips of phase {split!r}, expected one of {known[:NAMES_SHOWN]}{more}")
    return wanted


def _windows(entries: Sequence[_Entry], window: int | None, step: int | None) -> Iterator[tuple[_Entry, int]]:
    for entry in entries:
        if window is None:
            yield entry, 0
        else:
            for first in range(0, entry.steps - window + 1, step or window):
                yield entry, first

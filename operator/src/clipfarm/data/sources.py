"""Clips as a run folder has them, each with its own files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipfarm.data import feature_files
from clipfarm.data.feature_files import FeatureFile
from clipfarm.truth import splits_of
from clipfarm_contract import npy
from clipfarm_contract.layout import Clip, RunFolder

Rows = NDArray[Any]


@dataclass(frozen=True, slots=True)
class RunClip:
    """A clip of a run folder: nothing of it is in memory."""

    clip: Clip

    @property
    def name(self) -> str:
        """As ``clip_00042``."""
        return self.clip.folder.name

    @property
    def place(self) -> str:
        """Where it lies, for messages."""
        return str(self.clip.folder)

    @property
    def splits(self) -> frozenset[str]:
        """Its phase, and the split that this names; nothing if it does not say."""
        return splits_of(self.clip)

    def sets(self) -> list[str]:
        """Return the names of its feature sets, a set with several layers as one for each."""
        return feature_files.names(self.clip)

    def find(self, name: str) -> FeatureFile:
        """Return where a feature set lies.

        Raises:
            ContractError: it has no such set, or it is damaged.
            OSError: a file cannot be read.
        """
        return feature_files.find(self.clip, name)

    def frames(self) -> int | None:
        """Return the number of its frames, by its states; None if it has not both states and actions.

        Raises:
            ContractError: the file is damaged.
            OSError: it cannot be read.
        """
        there = self.clip.states.exists() and self.clip.actions.exists()
        return npy.read_head(self.clip.states).shape[0] if there else None

    def rows(self, frames: slice) -> tuple[Rows, Rows]:
        """Return actions and states of some frames, as copies.

        Raises:
            OSError: a file is gone, or cannot be read.
            ValueError: it is damaged.
        """
        return _rows(self.clip.actions, frames), _rows(self.clip.states, frames)


def of_run(folder: Path) -> list[RunClip]:
    """Return the clips of a run folder."""
    run = RunFolder(folder)
    return [RunClip(run.clip(index)) for index in run.clips()]


def _rows(path: Path, rows: slice) -> Rows:
    return np.array(np.load(path, allow_pickle=False)[rows])

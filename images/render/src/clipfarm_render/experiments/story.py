"""What a story is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from clipfarm_contract.experiments.laws import Value
from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.checks import Check
from clipfarm_render.scene.motion import Motion
from clipfarm_render.scene.physics import Simulator
from clipfarm_render.scene.stage import Stage

Values = Mapping[str, Value]
"""What a clip has drawn, by factor."""
Another = Callable[[int], Values]
"""Draws once more by the same laws, from the clip's n-th further stream, counted from 1; for a second body."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a clip records of itself."""

    actions: npt.NDArray[np.float32]
    """(frames, n) what acts after each frame; ``actions.npy``."""
    states: npt.NDArray[np.float32]
    """(frames, n) ``ground_truth_states.npy``."""
    document: Mapping[str, Any]
    """The story's own part of ``ground_truth.json``."""


class Story(Protocol):
    """A module that tells what happens in an experiment. ``Sample`` is a type of its own, for what it has drawn."""

    CHECKS: tuple[Check, ...]
    """What is checked in its clips beyond :data:`clipfarm_render.checks.COMMON`."""

    def draw(self, values: Values, another: Another, scene: Scene) -> Any:
        """Return a clip's sample."""

    def build(self, sample: Any, scene: Scene, scratch: Path) -> Stage:
        """Return the scene before anything moves.

        Raises:
            ClipError: an asset cannot be read.
        """

    def move(self, world: Simulator, stage: Stage, sample: Any, frames: int, fps: int) -> Motion:
        """Simulate, and return the motion on each frame."""

    def truth(self, sample: Any, stage: Stage, motion: Motion, scene: Scene) -> Truth:
        """Return what the clip records of itself."""

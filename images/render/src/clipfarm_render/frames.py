"""The frames of a clip, one after the other."""

import shutil
from pathlib import Path
from typing import Protocol

import numpy as np
from pyquaternion import Quaternion

from clipfarm_contract.layout import Clip
from clipfarm_render.background import Background, weak_samples
from clipfarm_render.camera import Camera
from clipfarm_render.cycles import CyclesRenderer, Picture, save_png
from clipfarm_render.physics import Trajectory
from clipfarm_render.region import Rule, Solid
from clipfarm_render.sample import Sample
from clipfarm_render.stage import Stage


class Frames(Protocol):
    """A way to make frames."""

    def write(self, frame: int, path: Path) -> None:
        """Write one frame as a PNG."""


def write_all(frames: Frames, trajectory: Trajectory, clip: Clip) -> None:
    """Write every frame. One in which the object is just where it was is a copy of the frame before."""
    for frame in range(len(trajectory.positions)):
        if frame and _stands_still(trajectory, frame):
            shutil.copyfile(clip.frame(frame - 1), clip.frame(frame))
        else:
            frames.write(frame, clip.frame(frame))


def _stands_still(trajectory: Trajectory, frame: int) -> bool:
    columns = (trajectory.positions, trajectory.quaternions)
    return all(bool((column[frame] == column[frame - 1]).all()) for column in columns)


class FullFrames:
    """Renders the whole of each frame."""

    def __init__(self, renderer: CyclesRenderer) -> None:
        self._renderer = renderer

    def write(self, frame: int, path: Path) -> None:
        """Write one frame as a PNG."""
        self._renderer.render_frame(frame, path)


class CompositeFrames:
    """Renders of each frame what the object changes, and takes the rest from the background."""

    def __init__(
        self,
        renderer: CyclesRenderer,
        stage: Stage,
        sample: Sample,
        trajectory: Trajectory,
        background: Background,
        samples: int,
    ) -> None:
        self._renderer, self._stage, self._trajectory = renderer, stage, trajectory
        self._background, self._samples = background, samples
        self._rule = Rule(background.surroundings, Camera(stage.scene.resolution[0]))
        # An asset may have any colours of its own: the brightest is assumed.
        self._colour = (1.0, 1.0, 1.0) if stage.body.described else sample.colour

    def write(self, frame: int, path: Path) -> None:
        """Write one frame as a PNG."""
        save_png(self._renderer.as_seen(self.linear(frame)), path)

    def linear(self, frame: int) -> Picture:
        """Return one frame in linear light, (height, width, 3)."""
        self._renderer.go_to(frame)
        region = self._rule.find(self.solid(frame))
        behind = self._background
        picture = behind.clean.copy()
        for box in region.weak:
            here = box.slices
            rendered = self._renderer.render_box(box, weak_samples(self._samples))
            picture[here] = behind.clean[here] + rendered - behind.weak[here]
        for box in region.strong:
            here = box.slices
            rendered = self._renderer.render_box(box, self._samples)
            corrected = behind.clean[here] + rendered - behind.strong[here]
            # Where the object itself is seen, the noise of what it hides has nothing to do with it.
            picture[here] = np.where(region.own[here][..., None], rendered, corrected)
        return picture.clip(min=0)

    def solid(self, frame: int) -> Solid:
        """Return the object as it is in a frame."""
        axes = Quaternion(self._trajectory.quaternions[frame]).rotation_matrix
        centre = self._trajectory.positions[frame]
        body = self._stage.body
        return Solid(body.outline @ axes.T + centre, axes, body.bounds, centre, self._colour)

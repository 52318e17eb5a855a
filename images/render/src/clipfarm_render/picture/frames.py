"""The frames of a clip, one after the other."""

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from pyquaternion import Quaternion

from clipfarm_contract.layout import Clip
from clipfarm_render.picture import view
from clipfarm_render.picture.background import Background, weak_samples
from clipfarm_render.picture.boxes import Part
from clipfarm_render.picture.cycles import CyclesRenderer, Picture, save_png
from clipfarm_render.picture.region import Region, Rule, Solid
from clipfarm_render.picture.smooth import Smoother
from clipfarm_render.scene.bodies import Body
from clipfarm_render.scene.look import Look
from clipfarm_render.scene.motion import Motion, Trajectory
from clipfarm_render.scene.stage import Stage

HELPERS = 2
"""Threads beside a GPU, which renders a frame in less time than a core needs for all else: they find regions ahead of
it, and finish pictures behind it. CPUs are Cycles' own, to the last thread."""


class Frames(Protocol):
    """A way to make frames."""

    def write(self, frame: int, path: Path) -> None:
        """Write one frame as a PNG, at once or later."""

    def close(self) -> None:
        """Wait until all frames are written."""


def write_all(frames: Frames, motion: Motion, clip: Clip) -> None:
    """Write every frame. One in which every object is just where it was is a copy of the frame before."""
    moving = [frame for frame in range(motion.frames) if not motion.stands_still(frame)]
    with closing(frames):
        for frame in moving:
            frames.write(frame, clip.frame(frame))
    for frame in range(motion.frames):
        if frame not in moving:
            shutil.copyfile(clip.frame(frame - 1), clip.frame(frame))


class FullFrames:
    """Renders the whole of each frame."""

    def __init__(self, renderer: CyclesRenderer) -> None:
        self._renderer = renderer

    def write(self, frame: int, path: Path) -> None:
        """Write one frame as a PNG."""
        self._renderer.render_frame(frame, path)

    def close(self) -> None:
        """Do nothing: all are written."""


@lru_cache(maxsize=1)
def _rules(behind: Background, look: Look) -> tuple[Rule, Smoother]:
    """Return what follows from the background alone, and takes as long as five frames on a GPU."""
    return Rule(behind.surroundings, look), Smoother(behind.surroundings, look.camera)


class CompositeFrames:
    """Renders of each frame what the objects change, and takes the rest from the background."""

    def __init__(
        self,
        renderer: CyclesRenderer,
        stage: Stage,
        motion: Motion,
        background: Background,
        samples: int,
        helpers: int = 0,
    ) -> None:
        """Get ready.

        Args:
            renderer: of the stage.
            stage: animated.
            motion: of the objects.
            background: the stage without the objects.
            samples: of a frame.
            helpers: threads that work beside the renderer; none: all is done one after the other.
        """
        self._renderer, self._stage, self._motion = renderer, stage, motion
        self._background, self._samples = background, samples
        self._rule, self._smooth = _rules(background, stage.look)
        self._helpers = ThreadPoolExecutor(helpers) if helpers else None
        self._regions: dict[int, Future[Region]] = {}
        self._unwritten: list[Future[None]] = []

    def write(self, frame: int, path: Path) -> None:
        """Write one frame as a PNG; on a GPU, while later frames are rendered."""
        if self._helpers is None:
            self._save(self.linear(frame), path)
            return
        if not self._regions:
            later = range(frame, self._motion.frames)
            self._regions = {each: self._helpers.submit(self.region, each) for each in later}
        region = self._regions[frame].result()
        weak, strong = self._render(frame, region)
        self._unwritten.append(self._helpers.submit(lambda: self._save(self._composite(region, weak, strong), path)))

    def close(self) -> None:
        """Wait until all frames are written."""
        if self._helpers is not None:
            self._helpers.shutdown(cancel_futures=False)
            for written in self._unwritten:
                written.result()

    def linear(self, frame: int) -> Picture:
        """Return one frame in linear light, (height, width, 3)."""
        region = self.region(frame)
        return self._composite(region, *self._render(frame, region))

    def region(self, frame: int) -> Region:
        """Return what the objects change in a frame."""
        return self._rule.find(self.solids(frame))

    def _render(self, frame: int, region: Region) -> tuple[Picture, Picture]:
        """Return weak and strong part of a frame, in pictures that hold nothing of use elsewhere."""
        self._renderer.go_to(frame)
        samples = (weak_samples(self._samples), self._samples)
        weak, strong = (
            self._rendered(part, each) for part, each in zip((region.weak, region.strong), samples, strict=True)
        )
        return weak, strong

    def _composite(self, region: Region, rendered_weak: Picture, rendered: Picture) -> Picture:
        strong, behind = region.strong.pixels, self._background
        weak = region.weak.pixels & ~strong
        picture = behind.clean + self._smooth(rendered_weak - behind.weak, weak)
        picture[strong] += rendered[strong] - behind.strong[strong]
        # Where the object itself is seen, the noise of what it hides has nothing to do with it.
        picture[region.own] = rendered[region.own]
        return picture.clip(min=0)

    def _save(self, linear: Picture, path: Path) -> None:
        save_png(view.seen(linear), path)

    def _rendered(self, part: Part, samples: int) -> Picture:
        picture = np.zeros_like(self._background.clean)
        for box in part.boxes(self._renderer.call_price / samples):
            picture[box.slices] = self._renderer.render_box(box, samples)
        return picture

    def solids(self, frame: int) -> list[Solid]:
        """Return the objects that are there in a frame."""
        moving = zip(self._stage.bodies, self._motion.trajectories, self._motion.visible[frame], strict=True)
        return [_solid(body, trajectory, frame) for body, trajectory, there in moving if there]


def _solid(body: Body, trajectory: Trajectory, frame: int) -> Solid:
    axes, centre = Quaternion(trajectory.quaternions[frame]).rotation_matrix, trajectory.positions[frame]
    # An asset may have any colours of its own: the brightest is assumed.
    colour = (1.0, 1.0, 1.0) if body.described else body.colour
    return Solid(body.outline @ axes.T + centre, axes, body.bounds, centre, colour)

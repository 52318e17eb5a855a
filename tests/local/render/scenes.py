"""Scenes in this process, for tests that look at what Blender makes of one."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clipfarm_contract.experiments.scene import Assets
from clipfarm_render import experiments
from clipfarm_render.picture.cycles import CyclesRenderer
from clipfarm_render.scene import bodies, physics, stage
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.motion import Motion, Trajectory
from clipfarm_render.scene.sample import Sample
from helpers.experiments import declared


def draw(shape: str) -> Sample:
    """Return the sample of one clip."""
    made = declared(objects=[shape], phase={"mass": {"min": 1, "max": 1}})
    sample: Sample
    _, sample = experiments.draw(made.scene, made.phases[0].phase, 5)
    return sample


@dataclass(frozen=True)
class Set:
    """One object on its stage, moving."""

    renderer: CyclesRenderer
    stage: stage.Stage
    sample: Sample
    camera: Camera
    trajectory: Trajectory

    def rotation(self, frame: int) -> np.ndarray:
        w, x, y, z = self.trajectory.quaternions[frame]
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )


def build(
    scratch: Path,
    shape: str,
    resolution: int,
    samples: int = 1,
    frames: int = 4,
    assets: Assets | None = None,
    **how: Any,
) -> Set:
    """Build a scene of one object; ``how`` replaces what its sample holds, and ``height`` lifts it into the air."""
    height = how.pop("height", 0.0)
    sample = replace(draw(shape), **how)
    camera = Camera(resolution)
    body = bodies.make(sample, assets, AssetFiles(scratch))
    built = stage.build([body], camera, frames, 30)
    world = physics.simulator(built.scene, scratch)
    renderer = CyclesRenderer(built, samples, 2, "cpu", scratch)
    trajectory = physics.simulate(world, body, sample.pushes, frames + 1, 30)
    trajectory.positions[:, 2] += height
    built.animate(Motion.of(trajectory))
    return Set(renderer, built, sample, camera, trajectory)

"""``ground_truth.json``: everything true of a clip that a pixel cannot say."""

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_render.scene import arena, bodies
from clipfarm_render.scene.bodies import Body
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.kubric_compat import kb
from clipfarm_render.scene.motion import Trajectory
from clipfarm_render.scene.sample import Sample


def actions(sample: Sample, frames: int) -> npt.NDArray[np.float32]:
    """Return the impulse of each frame, (frames, 2) on x and y, N s; zero but at the frame of the push."""
    table = np.zeros((frames, 2), np.float32)
    table[sample.push.at_frame] = sample.push.x, sample.push.y
    return table


def states(trajectory: Trajectory) -> npt.NDArray[np.float32]:
    """Return the position of the object on each frame, (frames, 2), x and y, m."""
    return trajectory.positions[:, :2].astype(np.float32)


def describe(
    recipe: ClipRecipe,
    seed: int,
    sample: Sample,
    body: Body,
    camera: Camera,
    trajectory: Trajectory,
) -> Mapping[str, Any]:
    """Return the content of ``ground_truth.json``. Lengths m, masses kg, impulses N s, quaternions w, x, y, z.

    Its recipe is enough to make the clip again.
    """
    scene = recipe.scene
    return {
        "recipe": recipe.to_json(),
        "phase": recipe.phase.name,
        "friction": sample.friction,
        "mass": sample.mass,
        "impulse": {
            "x": sample.push.x,
            "y": sample.push.y,
            "magnitude": sample.push.magnitude,
            "atFrame": sample.push.at_frame,
        },
        "object": {
            "shape": sample.shape,
            "size": sample.size,
            "colour": list(sample.colour),
            "bounds": body.bounds.tolist(),
            "inertia": body.inertia.tolist(),
            # Friction slows a rolling body down only until it rolls.
            "rolls": body.rolls,
            **body.described,
            "position": trajectory.positions[0].tolist(),
            "quaternion": trajectory.quaternions[0].tolist(),
            "trajectory": {
                "positions": trajectory.positions.tolist(),
                "quaternions": trajectory.quaternions.tolist(),
                "velocities": trajectory.velocities.tolist(),
                "angularVelocities": trajectory.angular_velocities.tolist(),
            },
        },
        "arena": {
            "halfSize": arena.HALF_SIZE,
            "gravity": arena.GRAVITY,
            "wallFriction": 0.0,
            "wallRestitution": bodies.RESTITUTION,
        },
        "camera": camera.to_json(),
        "video": {
            "frames": scene.frames,
            "fps": scene.fps,
            "resolution": scene.resolution,
            "samplesPerPixel": scene.samples_per_pixel,
            "stepRate": STEP_RATE,
            "layers": list(scene.layers),
            "background": scene.background,
        },
        "seed": {"run": recipe.seed, "index": recipe.index, "clip": seed},
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that decides a clip's bytes."""
    return {
        "clipfarm": metadata.version("clipfarm-render"),
        "kubric": kb.__version__,
        "bpy": bpy.app.version_string,
        "pybullet": metadata.version("pybullet"),
        "numpy": np.__version__,
    }

"""``ground_truth.json``: everything true of a clip that a pixel cannot say."""

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.experiments.laws import Value
from clipfarm_contract.experiments.scene import Phase, Scene
from clipfarm_render.scene.bodies import Body
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.kubric_compat import kb
from clipfarm_render.scene.look import Look, from_view
from clipfarm_render.scene.motion import Trajectory


def states(trajectory: Trajectory) -> npt.NDArray[np.float32]:
    """Return the position of the object on each frame, (frames, 2), x and y, m."""
    return trajectory.positions[:, :2].astype(np.float32)


def describe(
    recipe: ClipRecipe, seed: int, scene: Scene, camera: Camera, phase: Phase, drawn: Mapping[str, Value]
) -> Mapping[str, Any]:
    """Return what ``ground_truth.json`` holds of any experiment. Lengths m.

    Its recipe is enough to make the clip again.

    Args:
        recipe: of the clip.
        seed: the clip's own.
        scene: what all clips have in common.
        camera: what the clip is seen by.
        phase: the clip's own.
        drawn: values of the factors whose laws the recipe records.
    """
    said: dict[str, Any] = {"split": phase.split} if phase.split else {}
    if scene.views:
        usual = Look.usual(scene.resolution)
        said["views"] = [
            {"name": view.name, "camera": from_view(usual, view).camera.to_json(), "layers": list(view.layers)}
            for view in scene.views
        ]
    return (
        said
        | ({"factors": dict(drawn)} if drawn else {})
        | {
            "recipe": recipe.to_json(),
            "phase": phase.name,
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
    )


def describe_body(body: Body, trajectory: Trajectory) -> Mapping[str, Any]:
    """Return what it holds of a body, by its measures and its motion. Lengths m, quaternions w, x, y, z."""
    return {
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

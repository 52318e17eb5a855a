"""The scene of one clip in Kubric's terms: what simulator and renderer both follow."""

import math
from dataclasses import dataclass

from clipfarm_render import arena, physics
from clipfarm_render.camera import Camera
from clipfarm_render.kubric_compat import kb
from clipfarm_render.physics import Trajectory
from clipfarm_render.sample import Sample


@dataclass(frozen=True, slots=True)
class Stage:
    """The scene, and the parts of it that others need by name."""

    scene: kb.Scene
    floor: kb.Cube
    cube: kb.Cube

    def animate(self, trajectory: Trajectory) -> None:
        """Set the cube's keyframes. The renderer has to follow the scene already: keyframes are only pushed."""
        for frame, (position, quaternion) in enumerate(zip(trajectory.positions, trajectory.quaternions, strict=True)):
            self.cube.position, self.cube.quaternion = position, quaternion
            self.cube.keyframe_insert("position", frame)
            self.cube.keyframe_insert("quaternion", frame)


def build(sample: Sample, camera: Camera, frames: int, fps: int) -> Stage:
    """Return the scene: floor, cube, camera and lights. Frames count from 0."""
    scene = kb.Scene(
        frame_start=0,
        frame_end=frames - 1,
        frame_rate=fps,
        step_rate=physics.STEP_RATE,
        resolution=(camera.resolution, camera.resolution),
        gravity=(0, 0, -arena.GRAVITY),
        # Light from the sky, which fills the shadows, and its colour where a ray meets nothing.
        ambient_illumination=kb.Color(0.24, 0.28, 0.36),
        background=kb.Color(0.24, 0.28, 0.36),
    )
    floor = kb.Cube(
        name="floor",
        scale=(arena.FLOOR_EXTENT, arena.FLOOR_EXTENT, 1),
        position=(0, 0, -1),
        static=True,
        friction=physics.FLOOR_FRICTION,
        restitution=physics.FLOOR_RESTITUTION,
    )
    half = sample.size / 2
    cube = kb.Cube(
        name="cube",
        scale=(half, half, half),
        position=(*sample.position, half),
        quaternion=(math.cos(sample.yaw / 2), 0, 0, math.sin(sample.yaw / 2)),
        mass=sample.mass,
        friction=sample.friction,
        restitution=physics.RESTITUTION,
    )
    scene.add([floor, cube])
    scene.camera = kb.PerspectiveCamera(
        name="camera",
        position=camera.position,
        look_at=camera.target,
        focal_length=camera.focal_length_mm,
        sensor_width=camera.sensor_width_mm,
    )
    # A warm key light from the left, and a cool weak one from the right that models the faces in shadow.
    key = kb.DirectionalLight(
        name="sun", color=kb.Color(1.0, 0.95, 0.86), intensity=4.2, position=(-7, -3, 9), look_at=(0, 0, 0)
    )
    fill = kb.DirectionalLight(
        name="fill", color=kb.Color(0.78, 0.87, 1.0), intensity=0.9, position=(8, -5, 7), look_at=(0, 0, 0)
    )
    scene.add([key, fill])
    return Stage(scene, floor, cube)

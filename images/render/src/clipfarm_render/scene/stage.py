"""The scene of one clip in Kubric's terms: what simulator and renderer both follow."""

from dataclasses import dataclass

from pyquaternion import Quaternion

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_render.scene import arena, physics
from clipfarm_render.scene.bodies import Body
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.kubric_compat import kb
from clipfarm_render.scene.physics import Trajectory


@dataclass(frozen=True, slots=True)
class Stage:
    """The scene, and the parts of it that others need by name."""

    scene: kb.Scene
    floor: kb.Cube
    body: Body
    camera: Camera

    def animate(self, trajectory: Trajectory) -> None:
        """Set the object's keyframes. The renderer has to follow the scene already: keyframes are only pushed."""
        asset = self.body.asset
        for frame, (position, quaternion) in enumerate(zip(trajectory.positions, trajectory.quaternions, strict=True)):
            # What moves is the centre of mass; what is drawn hangs on the mesh's origin.
            asset.position = position + Quaternion(quaternion).rotate(self.body.origin)
            asset.quaternion = quaternion
            asset.keyframe_insert("position", frame)
            asset.keyframe_insert("quaternion", frame)


def build(body: Body, camera: Camera, frames: int, fps: int) -> Stage:
    """Return the scene: floor, object, camera and lights. Frames count from 0."""
    scene = kb.Scene(
        frame_start=0,
        frame_end=frames - 1,
        frame_rate=fps,
        step_rate=STEP_RATE,
        resolution=(camera.resolution, camera.resolution),
        gravity=(0, 0, -arena.GRAVITY),
        ambient_illumination=kb.Color(*arena.SKY),
        background=kb.Color(*arena.SKY),
    )
    floor = kb.Cube(
        name="floor",
        scale=(arena.FLOOR_EXTENT, arena.FLOOR_EXTENT, 1),
        position=(0, 0, -1),
        static=True,
        friction=physics.FLOOR_FRICTION,
        restitution=physics.FLOOR_RESTITUTION,
    )
    scene.add([floor, body.asset])
    scene.camera = kb.PerspectiveCamera(
        name="camera",
        position=camera.position,
        look_at=camera.target,
        focal_length=camera.focal_length_mm,
        sensor_width=camera.sensor_width_mm,
    )
    for sun in arena.SUNS:
        scene.add(
            kb.DirectionalLight(
                name=sun.name,
                color=kb.Color(*sun.colour),
                intensity=sun.intensity,
                position=sun.position,
                look_at=(0, 0, 0),
            )
        )
    return Stage(scene, floor, body, camera)

"""The scene of one clip in Kubric's terms: what simulator and renderer both follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyquaternion import Quaternion

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_render.scene import arena, physics
from clipfarm_render.scene.bodies import Body
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.fixtures import Fixture
from clipfarm_render.scene.kubric_compat import kb
from clipfarm_render.scene.look import Look
from clipfarm_render.scene.motion import Motion


@dataclass(frozen=True, slots=True)
class Stage:
    """The scene, and the parts of it that others need by name."""

    scene: kb.Scene
    floor: kb.Cube
    bodies: tuple[Body, ...]
    look: Look
    fixtures: tuple[Fixture, ...] = ()
    wall_friction: float = 0.0
    """Of the walls; a body's own is multiplied by it."""

    @property
    def camera(self) -> Camera:
        """What the scene is seen by."""
        return self.look.camera

    def animate(self, motion: Motion) -> None:
        """Set the objects' keyframes. The renderer has to follow the scene already: keyframes are only pushed."""
        for body, trajectory in zip(self.bodies, motion.trajectories, strict=True):
            asset, rows = body.asset, zip(trajectory.positions, trajectory.quaternions, strict=True)
            for frame, (position, quaternion) in enumerate(rows):
                # What moves is the centre of mass; what is drawn hangs on the mesh's origin.
                asset.position = position + Quaternion(quaternion).rotate(body.origin)
                asset.quaternion = quaternion
                asset.keyframe_insert("position", frame)
                asset.keyframe_insert("quaternion", frame)


def build(
    bodies: Sequence[Body],
    camera: Camera,
    frames: int,
    fps: int,
    *,
    fixtures: Sequence[Fixture] = (),
    gravity: float = arena.GRAVITY,
    floor_friction: float = physics.FLOOR_FRICTION,
    wall_friction: float = 0.0,
    floor_restitution: float = physics.FLOOR_RESTITUTION,
) -> Stage:
    """Return the scene: floor, objects, camera and lights. Frames count from 0.

    Args:
        bodies: what moves.
        camera: what it is seen by.
        frames: how many are shown.
        fps: frames a second.
        fixtures: what stands still beyond floor and walls.
        gravity: downwards, m / s^2.
        floor_friction: of the floor; a body's own is multiplied by it.
        wall_friction: of the walls; a body's own is multiplied by it.
        floor_restitution: of the floor; a body's own is multiplied by it.
    """
    scene = kb.Scene(
        frame_start=0,
        frame_end=frames - 1,
        frame_rate=fps,
        step_rate=STEP_RATE,
        resolution=(camera.resolution, camera.resolution),
        gravity=(0, 0, -gravity),
        ambient_illumination=kb.Color(*arena.SKY),
        background=kb.Color(*arena.SKY),
    )
    floor = kb.Cube(
        name="floor",
        scale=(arena.FLOOR_EXTENT, arena.FLOOR_EXTENT, 1),
        position=(0, 0, -1),
        static=True,
        friction=floor_friction,
        restitution=floor_restitution,
    )
    scene.add([floor, *(body.asset for body in bodies)])
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
    return Stage(scene, floor, tuple(bodies), Look(camera), tuple(fixtures), wall_friction)


def seen(built: Stage, look: Look) -> Stage:
    """Return a stage as its clip sees it; no renderer may follow its scene yet."""
    camera = built.scene.camera
    if look.camera != built.camera:
        camera.position = look.camera.position
        camera.look_at(look.camera.target)
    if look.suns != built.look.suns:
        lights = {asset.name: asset for asset in built.scene.assets}
        for sun in look.suns:
            light = lights[sun.name]
            light.position, light.intensity = sun.position, sun.intensity
            light.look_at((0, 0, 0))
    return replace(built, look=look)

"""The cube's motion: PyBullet, driven step by step through Kubric's simulator.

Kubric's own ``run()`` knows no push between two frames, so the loop is here.

The recorded friction is what happens between cube and floor: Bullet multiplies the coefficients of two bodies, the
floor's is 1, and air resistance (Bullet's damping, 0.04 unless told otherwise) is switched off. The walls are smooth
and give back half of the speed that meets them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pybullet

from clipfarm_render import arena
from clipfarm_render.kubric_compat import PyBullet, kb
from clipfarm_render.sample import Push

STEP_RATE = 240
"""Steps a second; Bullet's default, and what its solver is tuned for."""
SETTLE_FRAMES = 2
FLOOR_FRICTION = 1.0
RESTITUTION = 0.5
"""Of cube against wall: the share of the speed across the wall that is left after a hit."""
FLOOR_RESTITUTION = 0.0

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The cube's motion, one row a frame."""

    positions: Array
    """(frames, 3) centre, m."""
    quaternions: Array
    """(frames, 4) rotation as w, x, y, z."""
    velocities: Array
    """(frames, 3) m/s."""
    angular_velocities: Array
    """(frames, 3) radians/s."""


def simulator(scene: kb.Scene, scratch: Path) -> PyBullet:
    """Return a simulator that follows ``scene``, with the barriers behind the arena's walls.

    The barriers are known to the simulator alone; what is seen of the walls, the renderer adds.
    """
    made = PyBullet(scene, scratch_dir=scratch)
    thickness, height = 1.0, arena.BARRIER_HEIGHT / 2
    across = arena.HALF_SIZE + thickness
    for name, x, y in (("east", 1, 0), ("west", -1, 0), ("north", 0, 1), ("south", 0, -1)):
        barrier = kb.Cube(
            name=f"barrier_{name}",
            scale=(thickness if x else across + thickness, thickness if y else across + thickness, height),
            position=(x * across, y * across, height),
            static=True,
            friction=0.0,
            restitution=1.0,
        )
        made.add(barrier)
    return made


def simulate(world: PyBullet, cube: kb.Cube, push: Push, frames: int, fps: int) -> Trajectory:
    """Let the cube settle, rest, and take the push right after frame ``push.at_frame`` has been recorded.

    Frames up to and including ``push.at_frame`` show the cube at rest. It is not stepped there: the solver's own
    corrections would move a resting cube by some 1e-5 m a frame.

    Args:
        world: from :func:`simulator`, following the scene that holds the cube.
        cube: the body that is pushed.
        push: the impulse.
        frames: how many frames to record.
        fps: frames a second; divides ``STEP_RATE``.
    """
    body, client = cube.linked_objects[world], world.physics_client
    pybullet.changeDynamics(body, -1, linearDamping=0, angularDamping=0, physicsClientId=client)
    steps = STEP_RATE // fps

    def step(count: int) -> None:
        for _ in range(count):
            pybullet.stepSimulation(physicsClientId=client)

    def set_velocity(x: float, y: float) -> None:
        pybullet.resetBaseVelocity(body, (x, y, 0), (0, 0, 0), physicsClientId=client)

    step(SETTLE_FRAMES * steps)
    set_velocity(0, 0)

    rows = []
    for frame in range(frames):
        if frame > push.at_frame:
            step(steps)
        rows.append(_state(body, client))
        if frame == push.at_frame:
            set_velocity(push.x / cube.mass, push.y / cube.mass)
    positions, quaternions, velocities, angular = (np.array(column) for column in zip(*rows, strict=True))
    return Trajectory(positions, quaternions, velocities, angular)


def _state(body: int, client: int) -> tuple[tuple[float, ...], ...]:
    position, (x, y, z, w) = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
    velocity, angular = pybullet.getBaseVelocity(body, physicsClientId=client)
    return position, (w, x, y, z), velocity, angular

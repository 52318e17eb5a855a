"""The object's motion: PyBullet, driven step by step through Kubric's simulator.

Kubric's own ``run()`` knows no push between two frames, so the loop is here.

The recorded friction is what happens between object and floor while it slides: Bullet multiplies the coefficients of
two bodies, the floor's is 1, and air resistance (Bullet's damping, 0.04 unless told otherwise) is switched off. The
walls are smooth and give back half of the speed that meets them. Nothing resists a sphere that rolls.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pybullet

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_render.scene import arena
from clipfarm_render.scene.bodies import Body, ShapeAsset
from clipfarm_render.scene.fixtures import Fixture
from clipfarm_render.scene.kubric_compat import PyBullet, kb, register_physical_object_setters
from clipfarm_render.scene.motion import Trajectory
from clipfarm_render.scene.sample import Push

SUBSTEPS = 10
"""Of the solver in each step. In one whole step a fast body gets 6 cm into a wall, and a cone's rim into wall and
floor at once: pushing it out again then adds up to 9 % of the push's energy, with these 0.06 %."""
SETTLE_FRAMES = 2
FLOOR_FRICTION = 1.0
FLOOR_RESTITUTION = 0.0


class Simulator(PyBullet):  # type: ignore[misc]  # Kubric is published without types
    """Kubric's simulator, which knows our own shapes too."""

    def __init__(self, scene: kb.Scene, scratch: Path) -> None:
        """Follow a scene, with a folder for Kubric's own files."""
        self.names: dict[int, str] = {}
        """What Bullet's numbers stand for."""
        self.moving: set[int] = set()
        self.friction_from: tuple[int, float] | None = None
        """A frame, and the friction that all moving bodies have from the frame before it on; None: it never changes."""
        super().__init__(scene, scratch_dir=scratch)

    def add_asset(self, asset: Any) -> int | None:
        """Add what the scene got; called by Kubric."""
        added: int | None = self._add_shape(asset) if isinstance(asset, ShapeAsset) else super().add_asset(asset)
        if added is not None:
            self.names[added] = asset.name
            if not asset.static:
                self.moving.add(added)
        return added

    def _add_shape(self, asset: ShapeAsset) -> int:
        body = pybullet.createMultiBody(
            asset.mass,
            self._collision_shape(asset, asset.scale[0]),
            basePosition=asset.position,
            baseOrientation=np.roll(asset.quaternion, -1),
            # As Kubric does for its own objects: without both, bodies stick to walls, and brake by 15 to 45 % more
            # than their friction says.
            useMaximalCoordinates=True,
            physicsClientId=self.physics_client,
        )
        pybullet.changeDynamics(body, -1, contactProcessingThreshold=0, physicsClientId=self.physics_client)
        register_physical_object_setters(asset, body, self._physics_client)
        return int(body)

    def go_on_to(self, frame: int) -> None:
        """Change what changes on the way to a frame; called before the steps that lead there."""
        if self.friction_from is not None and frame == self.friction_from[0]:
            for body in self.moving:
                friction = self.friction_from[1]
                pybullet.changeDynamics(body, -1, lateralFriction=friction, physicsClientId=self.physics_client)

    def close(self) -> None:
        """Give up what Bullet holds: some 30 MB."""
        self._physics_client.disconnect()
        # Bullet gives the number to the next simulator, and Kubric would end that one when this one is collected.
        self._physics_client._client = -1

    def _collision_shape(self, asset: ShapeAsset, size: float) -> int:
        """Return what touches others: the convex hull. Floor and walls are planes, and touch nothing else of a body."""
        half, client = size / 2, {"physicsClientId": self.physics_client}
        if asset.shape.name == "cube":
            return int(pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=[half] * 3, **client))
        if asset.shape.name == "sphere":
            return int(pybullet.createCollisionShape(pybullet.GEOM_SPHERE, radius=half, **client))
        hull = (asset.felt * size).tolist()
        return int(pybullet.createCollisionShape(pybullet.GEOM_MESH, vertices=hull, **client))


def simulator(
    scene: kb.Scene,
    scratch: Path,
    fixtures: Sequence[Fixture] = (),
    *,
    wall_friction: float = 0.0,
    wall_restitution: float = 1.0,
) -> Simulator:
    """Return a simulator that follows ``scene``, with the barriers behind the arena's walls, and with fixtures.

    Barriers and fixtures are known to the simulator alone; what is seen of them, the renderer adds.
    """
    made = Simulator(scene, scratch)
    # Bullet's default solver leaves the friction of a contact in place whose load it has since found to be zero, so a
    # body brakes by up to 14 % more than its friction says. This one does not.
    pybullet.setPhysicsEngineParameter(
        constraintSolverType=pybullet.CONSTRAINT_SOLVER_LCP_PGS,
        numSubSteps=SUBSTEPS,
        # Overlap is taken back as a shift, however small it is. As speed, which is Bullet's way below 4 cm, it would
        # add to what a wall gives back: up to 0.56 of the speed that meets it in place of 0.5.
        splitImpulsePenetrationThreshold=0,
        physicsClientId=made.physics_client,
    )
    thickness, height = 1.0, arena.BARRIER_HEIGHT / 2
    across = arena.HALF_SIZE + thickness
    for name, x, y in (("east", 1, 0), ("west", -1, 0), ("north", 0, 1), ("south", 0, -1)):
        barrier = kb.Cube(
            name=f"barrier_{name}",
            scale=(thickness if x else across + thickness, thickness if y else across + thickness, height),
            position=(x * across, y * across, height),
            static=True,
            friction=wall_friction,
            restitution=wall_restitution,
        )
        made.add(barrier)
        made.names[barrier.linked_objects[made]] = "wall"
    for fixture in fixtures:
        for number, slab in enumerate(fixture.felt):
            box = kb.Cube(
                name=f"{fixture.name}_{number}",
                scale=slab.half,
                position=slab.position,
                quaternion=slab.quaternion,
                static=True,
                friction=slab.friction,
                restitution=slab.restitution,
            )
            made.add(box)
            made.names[box.linked_objects[made]] = fixture.name
    return made


def simulate(world: Simulator, thing: Body, pushes: Sequence[Push], frames: int, fps: int) -> Trajectory:
    """Let the object settle, rest, and take each push right after its frame ``at_frame`` has been recorded.

    Frames up to and including that of the first push show the object at rest. It is not stepped there: the solver's own
    corrections would move a resting body by some 1e-5 m a frame.

    Args:
        world: from :func:`simulator`, following the scene that holds the object.
        thing: the object that is pushed.
        pushes: at least one, in time.
        frames: how many frames to record.
        fps: frames a second; divides ``STEP_RATE``.
    """
    body, client = thing.asset.linked_objects[world], world.physics_client
    prepare(thing, body, client)
    steps = STEP_RATE // fps

    def step(count: int) -> None:
        for _ in range(count):
            pybullet.stepSimulation(physicsClientId=client)

    step(SETTLE_FRAMES * steps)
    pybullet.resetBaseVelocity(body, (0, 0, 0), (0, 0, 0), physicsClientId=client)

    rows = []
    due = {push.at_frame: push for push in pushes}
    for frame in range(frames):
        if frame > pushes[0].at_frame:
            world.go_on_to(frame)
            step(steps)
        rows.append(state(body, client))
        if frame in due:
            _take(due[frame], body, thing, client)
    positions, quaternions, velocities, angular = (np.array(column) for column in zip(*rows, strict=True))
    return Trajectory(positions, quaternions, velocities, angular)


def _take(push: Push, body: int, thing: Body, client: int) -> None:
    """Change a body's velocities at once by what a push gives it."""
    (vx, vy, vz), angular = pybullet.getBaseVelocity(body, physicsClientId=client)
    _, rotation = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
    axes = np.array(pybullet.getMatrixFromQuaternion(rotation)).reshape(3, 3)
    turn = axes @ (axes.T @ (0.0, 0.0, push.turn) / thing.inertia)
    linear = (vx + push.x / thing.asset.mass, vy + push.y / thing.asset.mass, vz)
    pybullet.resetBaseVelocity(body, linear, (np.array(angular) + turn).tolist(), physicsClientId=client)


def prepare(body: Body, number: int, client: int) -> None:
    """Give Bullet's body what its asset does not say: no air resistance, and its own moments of inertia."""
    pybullet.changeDynamics(
        number,
        -1,
        linearDamping=0,
        angularDamping=0,
        # Bullet's own guess is that of the box around the body. It takes the moments only together with the mass.
        mass=body.asset.mass,
        localInertiaDiagonal=body.inertia.tolist(),
        physicsClientId=client,
    )


def state(body: int, client: int) -> tuple[tuple[float, ...], ...]:
    """Return where Bullet's body is and how it moves: place, quaternion (w first), velocity and angular velocity."""
    position, (x, y, z, w) = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
    velocity, angular = pybullet.getBaseVelocity(body, physicsClientId=client)
    return position, (w, x, y, z), velocity, angular

"""Several bodies in motion: PyBullet at 2400 steps a second, with every contact seen.

The push experiment has a loop of its own (:mod:`clipfarm_render.scene.physics`), whose bytes are promised. Here each
substep of the solver is a step, so that no impulse between two bodies is missed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pybullet

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_render.scene.bodies import Body
from clipfarm_render.scene.contacts import Contacts, Touch
from clipfarm_render.scene.motion import Motion, Trajectory
from clipfarm_render.scene.physics import SETTLE_FRAMES, SUBSTEPS, Simulator, prepare, state
from clipfarm_render.scene.sample import Vector3

FINE_RATE = STEP_RATE * SUBSTEPS
"""Steps a second, Hz."""


def simulate(
    world: Simulator,
    bodies: Sequence[Body],
    frames: int,
    fps: int,
    *,
    velocities: Mapping[int, Vector3] | None = None,
    settle: bool = False,
    contact_erp: float | None = None,
) -> Motion:
    """Let the bodies move from frame 0 on, which shows them where they start.

    Args:
        world: from :func:`physics.simulator`, following the scene that holds the bodies.
        bodies: what moves.
        frames: how many frames to record.
        fps: frames a second; divides ``STEP_RATE``.
        velocities: of bodies that move already in frame 0, m/s, by their place in ``bodies``.
        settle: whether the bodies come to rest on the floor before frame 0.
        contact_erp: which part of an overlap a step takes back; None: as Bullet does.
    """
    client = world.physics_client
    place_of = {body.asset.name: place for place, body in enumerate(bodies)}
    fixed = set(world.names.values()) - place_of.keys()
    ids = [body.asset.linked_objects[world] for body in bodies]
    pybullet.setTimeStep(1 / FINE_RATE, physicsClientId=client)
    pybullet.setPhysicsEngineParameter(numSubSteps=0, physicsClientId=client)
    if contact_erp is not None:
        pybullet.setPhysicsEngineParameter(contactERP=contact_erp, physicsClientId=client)
    for body, number in zip(bodies, ids, strict=True):
        prepare(body, number, client)
    steps = FINE_RATE // fps
    if settle:
        for _ in range(SETTLE_FRAMES * steps):
            pybullet.stepSimulation(physicsClientId=client)
    for number in ids:
        pybullet.resetBaseVelocity(number, (0, 0, 0), (0, 0, 0), physicsClientId=client)
    for place, velocity in (velocities or {}).items():
        pybullet.resetBaseVelocity(ids[place], velocity, (0, 0, 0), physicsClientId=client)

    contacts = Contacts({body.asset.name: body.asset.mass for body in bodies}, steps)
    given = [[[0.0, 0.0, 0.0] for _ in bodies] for _ in range(frames)]
    rows = [[state(number, client)] for number in ids]
    for frame in range(1, frames):
        world.go_on_to(frame)
        for step in range((frame - 1) * steps, frame * steps):
            pybullet.stepSimulation(physicsClientId=client)
            touches = list(_touches(world))
            contacts.add(step, touches)
            for touch in touches:
                if touch.pair[1] in fixed:
                    total = given[frame][place_of[touch.pair[0]]]
                    for axis in range(3):
                        total[axis] += touch.whole[axis]
        for row, number in zip(rows, ids, strict=True):
            row.append(state(number, client))
    trajectories = (Trajectory(*(np.array(column) for column in zip(*row, strict=True))) for row in rows)
    if not ids:
        return Motion.empty(frames)
    return replace(Motion.of(*trajectories), collisions=contacts.collisions(), given=np.array(given))


def _touches(world: Simulator) -> Iterator[Touch]:
    names, moving = world.names, world.moving
    for point in pybullet.getContactPoints(physicsClientId=world.physics_client):
        first, second, on_second = point[1], point[2], point[6]
        (x, y, z), distance, force = point[7:10]
        if distance > 0:  # they have parted, and the force is that of an earlier step
            continue
        along, (ax, ay, az), across, (bx, by, bz) = point[10:14]
        # Single numbers: this runs thousands of times a second of a clip, and arrays of three take five times as long.
        share = (1 if first in moving else -1) / FINE_RATE
        whole = (
            share * (force * x + along * ax + across * bx),
            share * (force * y + along * ay + across * by),
            share * (force * z + along * az + across * bz),
        )
        if first in moving:
            yield Touch((names[first], names[second]), on_second, (x, y, z), force / FINE_RATE, whole)
        else:
            yield Touch((names[second], names[first]), on_second, (-x, -y, -z), force / FINE_RATE, whole)

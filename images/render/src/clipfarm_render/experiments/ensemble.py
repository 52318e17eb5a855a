"""What stories of several bodies have in common: an ensemble that moves freely from frame 0 on.

``actions.npy`` is (frames, 2) zeros: nothing acts but what the bodies meet. ``ground_truth_states.npy`` holds 13 values
of every body on each frame, (frames, bodies, 13): place of the centre of mass, m; rotation as w, x, y, z; velocity,
m/s; angular velocity, radians/s. A body that is not there has NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from pyquaternion import Quaternion as PyQuaternion

from clipfarm_contract.experiments.scene import Scene
from clipfarm_contract.layers import FIXTURE, body_number
from clipfarm_render.experiments.story import Truth, Values
from clipfarm_render.scene import arena, bodies, ground_truth, simulation, stage
from clipfarm_render.scene.bodies import Quaternion, Spec
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.fixtures import Fixture
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.motion import Collision, Motion
from clipfarm_render.scene.physics import Simulator
from clipfarm_render.scene.sample import Vector3, contrasting
from clipfarm_render.scene.stage import Stage

ORIGIN: Vector3 = (0.0, 0.0, 0.0)
FLAT: Quaternion = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What a clip of several bodies has drawn."""

    specs: tuple[Spec, ...]
    told: Mapping[str, Any]
    """What ``ground_truth.json`` says of the clip beyond its bodies."""
    gravity: float
    """Downwards, m / s^2."""
    velocities: Mapping[int, Vector3] = field(default_factory=dict)
    """Of bodies that move already in frame 0, m/s, by their place in ``specs``."""
    fixtures: tuple[Fixture, ...] = ()
    floor_restitution: float = 0.0
    settle: bool = False
    """Whether the bodies come to rest before frame 0."""
    contact_erp: float | None = None
    """Which part of an overlap a step of the solver takes back; None: as Bullet does."""


def numbers(values: Values) -> Mapping[str, float]:
    """Return the values as what all but objects are."""
    return cast("Mapping[str, float]", values)


def turned(axis: Vector3, angle: float) -> Quaternion:
    """Return the rotation about an axis by an angle, radians."""
    w, x, y, z = PyQuaternion(axis=axis, radians=angle).elements.tolist()
    return w, x, y, z


def after(first: Quaternion, second: Quaternion) -> Quaternion:
    """Return the rotation that does one after the other."""
    w, x, y, z = (PyQuaternion(*second) * PyQuaternion(*first)).elements.tolist()
    return w, x, y, z


def spec(place: int, values: Values, position: Vector3, **more: Any) -> Spec:
    """Return a body as its factors say, turned by its yaw; ``more`` replaces what they say."""
    number = numbers(values)
    made = Spec(
        name=f"body_{place}",
        shape=str(values["object"]),
        size=number["size"],
        mass=number["mass"],
        friction=number["friction"],
        colour=contrasting(number["hue"], number["saturation"], number["brightness"]),
        position=position,
        quaternion=turned((0, 0, 1), number["yaw"]),
        number=body_number(place),
    )
    return replace(made, **more)


def without(drawn: Ensemble, place: int) -> Ensemble:
    """Return the same clip without one of its bodies; the others keep their names."""
    others = [other for other in range(len(drawn.specs)) if other != place]
    velocities = {others.index(other): velocity for other, velocity in drawn.velocities.items() if other != place}
    return replace(drawn, specs=tuple(drawn.specs[other] for other in others), velocities=velocities)


def build(drawn: Ensemble, scene: Scene, scratch: Path) -> Stage:
    """Return the scene: all bodies where they start."""
    files = AssetFiles(scratch)
    return stage.build(
        [bodies.place(each, scene.assets, files) for each in drawn.specs],
        Camera(scene.resolution),
        scene.frames,
        scene.fps,
        fixtures=drawn.fixtures,
        gravity=drawn.gravity,
        floor_restitution=drawn.floor_restitution,
    )


def move(world: Simulator, built: Stage, drawn: Ensemble, frames: int, fps: int) -> Motion:
    """Let the bodies move."""
    return simulation.simulate(
        world,
        built.bodies,
        frames,
        fps,
        velocities=drawn.velocities,
        settle=drawn.settle,
        contact_erp=drawn.contact_erp,
    )


def truth(drawn: Ensemble, built: Stage, motion: Motion, scene: Scene) -> Truth:
    """Return what the clip records of itself. Lengths m, masses kg, impulses N s."""
    assert motion.given is not None
    described = [
        {
            "name": each.name,
            "segmentation": each.number,
            "shape": each.shape,
            "size": each.size,
            "mass": each.mass,
            "friction": each.friction,
            "restitution": each.restitution,
            "colour": list(each.colour),
            **ground_truth.describe_body(body, trajectory),
            "impulses": motion.given[:, place].tolist(),
        }
        for place, (each, body, trajectory) in enumerate(
            zip(drawn.specs, built.bodies, motion.trajectories, strict=True)
        )
    ]
    document = {
        **drawn.told,
        "bodies": described,
        "fixtures": [_fixture(each) for each in drawn.fixtures],
        "events": {"collisions": [_collision(each) for each in motion.collisions]},
        "arena": {
            "halfSize": arena.HALF_SIZE,
            "gravity": drawn.gravity,
            "floorRestitution": drawn.floor_restitution,
            "wallFriction": 0.0,
            "wallRestitution": 1.0,
        },
    }
    return Truth(np.zeros((scene.frames, 2), np.float32), states(motion), document)


def states(motion: Motion) -> Any:
    """Return (frames, bodies, 13) float32, NaN where a body is not there."""
    none = np.zeros((motion.frames, 0, 13))
    rows = np.concatenate([none, *(each.states[:, None] for each in motion.trajectories)], axis=1)
    rows[~motion.visible] = np.nan
    return rows.astype(np.float32)


def _fixture(fixture: Fixture) -> Mapping[str, Any]:
    vertices = fixture.seen.vertices
    bounds = [vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()]
    return {"name": fixture.name, "segmentation": FIXTURE, "bounds": bounds, "colour": list(fixture.colour)}


def _collision(collision: Collision) -> Mapping[str, Any]:
    return {
        "frame": collision.frame,
        "bodies": list(collision.bodies),
        "position": list(collision.position),
        "normal": list(collision.normal),
        "impulse": collision.impulse,
    }

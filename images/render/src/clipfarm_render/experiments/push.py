"""``push``: an object rests on a floor with walls, and gets a push, or several.

``actions.npy`` holds the impulse of each frame, (frames, 2) on x and y, N s: zero but at the frames of the pushes.
``ground_truth_states.npy`` holds the place of the object on each frame, (frames, 2), x and y, m.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from clipfarm_contract.experiments.scene import Scene
from clipfarm_render.checks import Check, CheckError, Written, farthest, rounded
from clipfarm_render.experiments.story import Another, Truth, Values
from clipfarm_render.scene import arena, bodies, ground_truth, physics, stage
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.motion import Motion
from clipfarm_render.scene.physics import Simulator
from clipfarm_render.scene.sample import Push, Sample, contrasting
from clipfarm_render.scene.stage import Stage

REST_LIMIT_M = 1e-4
"""How far the object may drift while it is said to rest."""
REST_LIMIT_GREY = 1.0
"""Mean difference, of 255, between two frames of a scene at rest."""
MOTION_LIMIT_M = 1e-3
"""How far the object has to get between the frame of the push and the next."""
MOTION_LIMIT_PIXELS = 4
CHANGED_BY = 24
"""A pixel has changed when one of its channels differs by this much of 255: above the noise of any sample count."""


def draw(values: Values, another: Another, scene: Scene) -> Sample:
    """Return a clip's sample."""
    number = cast("Mapping[str, float]", values)
    first, every = int(number["atFrame"]), int(number["every"])
    later = range(first + every, min(first + every * int(number["pushes"]), scene.frames - 1), every)
    return Sample(
        size=number["size"],
        position=(number["x"], number["y"]),
        yaw=number["yaw"],
        colour=contrasting(number["hue"], number["saturation"], number["brightness"]),
        friction=number["friction"],
        mass=number["mass"],
        push=_push(number, first, number["size"]),
        shape=str(values["object"]),
        more=tuple(
            _push(cast("Mapping[str, float]", another(n)), frame, number["size"]) for n, frame in enumerate(later, 1)
        ),
        restitution=number["restitution"],
        wall_friction=number["wallFriction"],
        gravity=number["gravity"],
    )


def _push(number: Mapping[str, float], frame: int, size: float) -> Push:
    return Push(number["impulse"], number["direction"], frame, number["offset"] * size)


def build(sample: Sample, scene: Scene, scratch: Path) -> Stage:
    """Return the scene: the object at its place on the floor."""
    body = bodies.make(sample, scene.assets, AssetFiles(scratch))
    return stage.build(
        [body],
        Camera(scene.resolution),
        scene.frames,
        scene.fps,
        gravity=sample.gravity,
        # As bodies.make has it: both together are the friction of object and floor.
        floor_friction=sample.friction if sample.wall_friction else physics.FLOOR_FRICTION,
        wall_friction=sample.wall_friction,
    )


def move(world: Simulator, built: Stage, sample: Sample, frames: int, fps: int) -> Motion:
    """Let the object settle, rest, and take its pushes."""
    return Motion.of(physics.simulate(world, built.bodies[0], sample.pushes, frames, fps))


def truth(sample: Sample, built: Stage, motion: Motion, scene: Scene) -> Truth:
    """Return what the clip records of itself. Lengths m, masses kg, impulses N s."""
    push, (trajectory,) = sample.push, motion.trajectories
    actions = np.zeros((scene.frames, 2), np.float32)
    for each in sample.pushes:
        actions[each.at_frame] = each.x, each.y
    document: dict[str, Any] = {
        "friction": sample.friction,
        "mass": sample.mass,
        "impulse": {"x": push.x, "y": push.y, "magnitude": push.magnitude, "atFrame": push.at_frame},
        "object": {
            "shape": sample.shape,
            "size": sample.size,
            "colour": list(sample.colour),
            **ground_truth.describe_body(built.bodies[0], trajectory),
        },
        "arena": {
            "halfSize": arena.HALF_SIZE,
            "gravity": sample.gravity,
            "wallFriction": sample.wall_friction,
            "wallRestitution": sample.restitution,
        },
    }
    if sample.more or push.turn:
        document["pushes"] = [
            {"x": each.x, "y": each.y, "turn": each.turn, "offset": each.offset, "atFrame": each.at_frame}
            for each in sample.pushes
        ]
    return Truth(actions, ground_truth.states(trajectory), document)


def at_rest(written: Written, _scene: Scene) -> Mapping[str, Any]:
    """Up to the frame of the push, nothing moves."""
    until = _at_frame(written) + 1
    drift = farthest(written.states[:until], written.states[0])
    first = written.frames[0].astype(np.int16)
    grey = max(float(np.abs(frame - first).mean()) for frame in written.frames[:until])
    if drift > REST_LIMIT_M or grey > REST_LIMIT_GREY:
        raise CheckError(
            f"at_rest: before the push the object moves {drift:.4f} m (limit {REST_LIMIT_M:g}) and the picture "
            f"changes by {grey:.2f} of 255 (limit {REST_LIMIT_GREY:g})"
        )
    return {"drift": rounded(drift), "grey": rounded(grey)}


def moves(written: Written, _scene: Scene) -> Mapping[str, Any]:
    """In the frame after the push the object has moved, and the picture shows motion from then on."""
    at = _at_frame(written)
    step = farthest(written.states[at + 1 : at + 2], written.states[at])
    before = written.frames[at].astype(np.int16)
    pixels = max(int((np.abs(frame - before).max(axis=-1) >= CHANGED_BY).sum()) for frame in written.frames[at + 1 :])
    if step < MOTION_LIMIT_M or pixels < MOTION_LIMIT_PIXELS:
        raise CheckError(
            f"moves: in the frame after the push the object moves {step:.4f} m (at least {MOTION_LIMIT_M:g}), "
            f"and {pixels} pixels change later (at least {MOTION_LIMIT_PIXELS})"
        )
    return {"step": rounded(step), "pixels": pixels}


def _at_frame(written: Written) -> int:
    return int(written.truth["impulse"]["atFrame"])


CHECKS: tuple[Check, ...] = (at_rest, moves)

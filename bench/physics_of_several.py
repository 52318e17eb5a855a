"""Whether several bodies move by the laws of mechanics; the second part of ``make bench-physics``, two minutes.

- ``physics_momentum_error``: largest change of the horizontal momentum of two bodies that meet without friction, of the
  momentum before; all pairs of objects, head-on and aside
- ``physics_bounce_error``: largest relative error of the height to which a body rises again, against restitution^2 h;
  cube, sphere and torus fall flat, the cone on its tip
- ``physics_parting_error``: largest difference between the recorded restitution and the speed at which the points that
  touched part, over that at which they met; objects of any tilt
- ``physics_slope_error``: largest error of the friction that an object shows on a ramp, of the ramp's slope: below the
  slope by its acceleration, above it by staying
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_contract.experiment import SHAPES
from clipfarm_render.experiments import ensemble, ramp
from clipfarm_render.scene import arena, bodies, physics, simulation, stage
from clipfarm_render.scene.bodies import Spec
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.fixtures import Fixture
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.motion import Motion, Trajectory

RESTITUTIONS = (0.3, 0.4, 0.5, 0.65, 0.8, 0.9)
ANGLES = (10, 20, 30)
SHARES = (0.5, 0.9, 0.99, 1.01, 1.2)
"""Friction, of the slope."""
RED = (0.5, 0.1, 0.1)

Array = npt.NDArray[np.float64]


def body(shape: str, position: tuple[float, float, float], place: int = 0, **more: object) -> Spec:
    """Return a body of 1 m and 2 kg."""
    how = {"size": 1.0, "mass": 2.0, "friction": 0.0} | more
    return Spec(f"body_{place}", shape, colour=RED, position=position, **how)  # type: ignore[arg-type]


def run(
    scratch: Path,
    specs: list[Spec],
    frames: int,
    fixtures: tuple[Fixture, ...] = (),
    fps: int = STEP_RATE,
    **how: object,
) -> Motion:
    """Simulate at 240 frames a second, or more."""
    made = [bodies.place(spec, None, AssetFiles(scratch)) for spec in specs]
    built = stage.build(made, Camera(64), frames, STEP_RATE, fixtures=fixtures, floor_restitution=1.0)
    world = physics.simulator(built.scene, scratch, fixtures)
    motion = simulation.simulate(world, made, frames, fps, **how)  # type: ignore[arg-type]
    world.close()
    return motion


def momenta(scratch: Path) -> Iterator[tuple[float, Array]]:
    """Yield for each pair of objects the moving one's momentum, and the sum along it on each frame, N s."""
    for first in SHAPES:
        for second in SHAPES:
            for aside, mass, speed in ((0.0, 2.0, 5.0), (0.3, 0.6, 3.0)):
                specs = [body(first, (-1.8, aside, 0), restitution=0.7)]
                specs.append(body(second, (0, 0, 0), 1, mass=mass, restitution=0.7))
                motion = run(scratch, specs, 150, velocities={0: (speed, 0.0, 0.0)}, settle=True)
                momentum = sum(
                    own * each.velocities[:, :2] for own, each in zip((2.0, mass), motion.trajectories, strict=True)
                )
                hits = [hit.frame for hit in motion.collisions if hit.bodies[1] == "wall"]
                yield 2.0 * speed, momentum[: min(hits, default=150)]


def momentum_error(before: float, momentum: Array) -> float:
    """Return the largest change of the momentum (frames, 2), of the moving body's."""
    return float(np.abs(momentum - (before, 0)).max() / before)


def bounces(scratch: Path) -> dict[str, list[tuple[float, float]]]:
    """Return height again over height before, by object, with its restitution."""
    upside_down = ensemble.turned((1, 0, 0), math.pi)
    found: dict[str, list[tuple[float, float]]] = {}
    for shape, how in {"cube": {}, "sphere": {}, "torus": {}, "cone": {"quaternion": upside_down}}.items():
        found[shape] = []
        for restitution in RESTITUTIONS:
            spec = body(shape, (0, 0, 2.0), restitution=restitution, **how)
            (trajectory,) = run(scratch, [spec], 400).trajectories
            height = trajectory.positions[:, 2] - trajectory.positions[0, 2] + 2.0
            hit = int(np.argmax(trajectory.velocities[:, 2] > 0))
            apex = hit + int(np.argmax(trajectory.velocities[hit:, 2] < 0))
            found[shape].append((restitution, float(height[apex] / 2.0)))
    return found


def parting_errors(scratch: Path) -> Iterator[float]:
    """Yield the error of restitution at the first hit of objects that fall with any tilt."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        for restitution in RESTITUTIONS:
            axis = (math.cos(turn := rng.uniform(0, math.tau)), math.sin(turn), 0.0)
            turned = ensemble.turned(axis, rng.uniform(0.2, 1.2))
            spec = body(shape, (0, 0, 1.0), restitution=restitution, quaternion=turned, friction=0.3)
            # As many frames as steps, so that one lies right before and one right after the hit.
            motion = run(scratch, [spec], 1600, fps=simulation.FINE_RATE)
            (trajectory,), hit = motion.trajectories, motion.collisions[0]
            met = speed_at(trajectory, hit.frame - 1, np.array(hit.position))
            parted = speed_at(trajectory, hit.frame, np.array(hit.position))
            yield abs(-parted / met - restitution)


def speed_at(trajectory: Trajectory, frame: int, point: Array) -> float:
    """Return the upward speed of a body's point, m/s."""
    arm = point - trajectory.positions[frame]
    return float((trajectory.velocities[frame] + np.cross(trajectory.angular_velocities[frame], arm))[2])


def slopes(scratch: Path) -> dict[str, list[tuple[float, float]]]:
    """Return friction of the slope, recorded and shown, by object; what stays shows the slope itself."""
    found: dict[str, list[tuple[float, float]]] = {}
    for shape in SHAPES:
        if shape == "sphere":  # it rolls
            continue
        found[shape] = []
        for degrees in ANGLES:
            angle = math.radians(degrees)
            fixture, up = ramp.ramp(angle), (math.sin(angle), 0.0, math.cos(angle))
            on = (ramp.FOOT - 3 * math.cos(angle), 0.0, 3 * math.sin(angle))
            for share in SHARES:
                spec = body(
                    shape, on, friction=share * math.tan(angle), quaternion=ensemble.turned((0, 1, 0), angle), up=up
                )
                (trajectory,) = run(scratch, [spec], 120, (fixture,), contact_erp=ramp.CONTACT_ERP).trajectories
                down = np.array((math.cos(angle), 0, -math.sin(angle)))
                # In the first tenth of a second it settles by a hair.
                way = ((trajectory.positions - trajectory.positions[0]) @ down)[24:]
                acceleration = 2 * np.polyfit(np.arange(len(way)) / STEP_RATE, way, 2)[0]
                shown = math.tan(angle) - acceleration / arena.GRAVITY / math.cos(angle)
                found[shape].append((share, float(shown / math.tan(angle))))
    return found

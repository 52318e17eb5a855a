"""The recorded numbers are what the motion shows, measured at the simulation's own 240 steps a second."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clipfarm_contract.experiment import Impulse, Phase, Range
from clipfarm_render import arena, physics, stage
from clipfarm_render.camera import Camera
from clipfarm_render.physics import STEP_RATE
from clipfarm_render.sample import Push, Sample, draw

CUBE = Sample(
    size=1.3,
    position=(-1.0, -0.5),
    yaw=0.4,
    colour=(0.5, 0.1, 0.1),
    friction=0.5,
    mass=2.0,
    push=Push(magnitude=12.0, direction=0.4, at_frame=2),
)


@pytest.fixture
def run(tmp_path: Path):
    def run(sample, frames=240, fps=STEP_RATE):
        built = stage.build(sample, Camera(64), frames, fps)
        world = physics.simulator(built.scene, tmp_path)
        return physics.simulate(world, built.cube, sample.push, frames, fps)

    return run


def speeds(trajectory):
    return np.linalg.norm(trajectory.velocities[:, :2], axis=1)


def sliding(trajectory, start):
    """Frames from the push to shortly before the first hit on a wall, or until the cube is almost at rest."""
    reach = np.abs(trajectory.positions[:, :2]).max(axis=1)
    free = (reach < arena.HALF_SIZE - 1.1) & (speeds(trajectory) > 0.3)
    free[: start + 1] = True
    return slice(start + 1, int(np.argmin(free)) if not free.all() else len(free))


@pytest.mark.parametrize("friction", [0.05, 0.2, 0.35, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("yaw", [0.0, 0.4, 1.1])
def test_deceleration_over_g_is_the_recorded_friction(run, friction, yaw):
    sample = replace(CUBE, friction=friction, yaw=yaw, push=replace(CUBE.push, magnitude=8.0))
    trajectory = run(sample)
    frames = sliding(trajectory, sample.push.at_frame)
    # From positions, not from Bullet's own velocities: two differences of what the clip records.
    path = np.linalg.norm(trajectory.positions[frames, :2] - trajectory.positions[0, :2], axis=1)
    seconds = np.arange(len(path)) / STEP_RATE
    half_of_minus_deceleration = np.polyfit(seconds, path, 2)[0]
    assert len(path) > 30
    assert -2 * half_of_minus_deceleration / arena.GRAVITY == pytest.approx(friction, rel=0.05)


def test_without_friction_the_cube_keeps_its_speed(run):
    trajectory = run(replace(CUBE, friction=0.0))
    speed = speeds(trajectory)[sliding(trajectory, CUBE.push.at_frame)]
    assert len(speed) > 60
    assert speed == pytest.approx(6.0, rel=1e-6)


@pytest.mark.parametrize("mass", [0.5, 1.0, 3.0])
def test_velocity_after_the_push_is_impulse_over_mass(run, mass):
    sample = replace(CUBE, friction=0.0, mass=mass)
    trajectory = run(sample, frames=6)
    at = sample.push.at_frame
    moved = (trajectory.positions[at + 1] - trajectory.positions[at])[:2] * STEP_RATE
    assert moved == pytest.approx((sample.push.x / mass, sample.push.y / mass), rel=0.02)


def test_the_cube_rests_until_its_push_has_been_recorded_and_moves_in_the_next_frame(run):
    trajectory = run(replace(CUBE, push=replace(CUBE.push, at_frame=5)), frames=10, fps=30)
    still = trajectory.positions[:6]
    assert (still == still[0]).all()
    assert (trajectory.quaternions[:6] == trajectory.quaternions[0]).all()
    assert (trajectory.velocities[:6] == 0).all()
    assert np.linalg.norm(trajectory.positions[6] - trajectory.positions[5]) > 0.05


def test_a_slower_video_shows_every_eighth_step_of_the_same_motion(run):
    fine = run(replace(CUBE, push=replace(CUBE.push, at_frame=0)), frames=81, fps=240)
    coarse = run(replace(CUBE, push=replace(CUBE.push, at_frame=0)), frames=11, fps=30)
    # Settling takes two frames of the video, so it ends a hair's breadth apart.
    assert coarse.positions == pytest.approx(fine.positions[::8], abs=2e-3)


@pytest.mark.parametrize("seed", range(12))
def test_the_cube_stays_flat_within_the_walls_and_gains_no_energy(run, seed):
    phase = Phase("any", friction=Range(0.01, 0.9), mass=Range(0.5, 3))
    sample = draw(seed, phase, Impulse(min=12, max=13, at_frame=1))
    trajectory = run(sample, frames=300)
    half = sample.size / 2
    assert np.abs(trajectory.positions[:, :2]).max() < arena.HALF_SIZE - half + 0.05
    assert np.abs(trajectory.positions[:, 2] - half).max() < 0.05
    inertia = sample.mass * sample.size**2 / 6
    energy = (
        0.5 * sample.mass * (trajectory.velocities**2).sum(axis=1)
        + 0.5 * inertia * (trajectory.angular_velocities**2).sum(axis=1)
        + sample.mass * arena.GRAVITY * trajectory.positions[:, 2]
    )[sample.push.at_frame + 1 :]
    assert max(b - a for a, b in pairwise(energy)) < 1e-4 * energy[0]


def test_the_same_sample_moves_the_same_way_to_the_last_bit(run):
    assert (run(CUBE).positions == run(CUBE).positions).all()

"""The recorded numbers are what the motion shows, measured at the simulation's own 240 steps a second."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipfarm_contract.bounds import STEP_RATE
from clipfarm_contract.experiment import SHAPES
from clipfarm_render.experiments import draw
from clipfarm_render.experiments import push as push_story
from clipfarm_render.scene import arena, bodies, ground_truth, physics
from clipfarm_render.scene.manifest import AssetFiles
from clipfarm_render.scene.sample import Push, Sample
from helpers.experiments import declared

CUBE = Sample(
    size=1.3,
    position=(-1.0, -0.5),
    yaw=0.4,
    colour=(0.5, 0.1, 0.1),
    friction=0.5,
    mass=2.0,
    push=Push(magnitude=12.0, direction=0.4, at_frame=2),
)
SLIDING = [shape for shape in SHAPES if shape != "sphere"]
FRICTIONS = [0.05, 0.2, 0.35, 0.5, 0.7, 0.9]


@pytest.fixture
def run(tmp_path: Path):
    def run(sample, frames=240, fps=STEP_RATE):
        scene = declared(frames=frames, fps=fps, resolution=64).scene
        built = push_story.build(sample, scene, tmp_path)
        world = physics.simulator(built.scene, tmp_path, wall_friction=built.wall_friction)
        (trajectory,) = push_story.move(world, built, sample, frames, fps).trajectories
        return trajectory

    return run


def body_of(sample):
    return bodies.make(sample, None, AssetFiles(Path("unused")))


def speeds(trajectory):
    return np.linalg.norm(trajectory.velocities[:, :2], axis=1)


def sliding(trajectory, start):
    """Frames from the push to shortly before the first hit on a wall, or until the object is almost at rest."""
    reach = np.abs(trajectory.positions[:, :2]).max(axis=1)
    free = (reach < arena.HALF_SIZE - 1.1) & (speeds(trajectory) > 0.3)
    free[: start + 1] = True
    return slice(start + 1, int(np.argmin(free)) if not free.all() else len(free))


def deceleration_over_g(positions, rate):
    """From positions, not from Bullet's own velocities: what anybody can measure of a clip."""
    path = np.linalg.norm(positions[:, :2] - positions[0, :2], axis=1)
    return -2 * np.polyfit(np.arange(len(path)) / rate, path, 2)[0] / arena.GRAVITY


@pytest.mark.parametrize("shape", SLIDING)
@pytest.mark.parametrize("friction", FRICTIONS)
@pytest.mark.parametrize("yaw", [0.0, 0.4, 1.1])
def test_deceleration_over_g_is_the_recorded_friction(run, shape, friction, yaw):
    push = replace(CUBE.push, magnitude=8.0)
    trajectory = run(replace(CUBE, shape=shape, friction=friction, yaw=yaw, push=push))
    free = trajectory.positions[sliding(trajectory, push.at_frame)]
    assert len(free) > 30
    assert deceleration_over_g(free, STEP_RATE) == pytest.approx(friction, rel=0.05)


@pytest.mark.parametrize("friction", FRICTIONS)
def test_it_can_be_measured_from_the_states_of_a_clip_alone(run, friction):
    push = Push(magnitude=12.0 * max(friction, 0.3), direction=0.4, at_frame=1)
    states = ground_truth.states(run(replace(CUBE, friction=friction, push=push), frames=32, fps=60))
    speed = np.linalg.norm(np.diff(states, axis=0), axis=1) * 60
    moving = np.flatnonzero((speed > 0.5) & (np.abs(states[1:]).max(axis=1) < arena.HALF_SIZE - 1.1))
    free = states[1 : moving[-1] + 2].astype(float)
    assert deceleration_over_g(free, 60) == pytest.approx(friction, rel=0.05)


@pytest.mark.parametrize("shape", SLIDING)
def test_without_friction_the_object_keeps_its_speed(run, shape):
    trajectory = run(replace(CUBE, shape=shape, friction=0.0))
    speed = speeds(trajectory)[sliding(trajectory, CUBE.push.at_frame)]
    assert len(speed) > 60
    assert speed == pytest.approx(6.0, rel=1e-6)


@pytest.mark.parametrize("friction", [0.2, 0.5, 0.9])
def test_a_sphere_slides_by_its_friction_until_it_rolls_at_five_sevenths_of_its_speed(run, friction):
    push = replace(CUBE.push, magnitude=8.0)
    trajectory = run(replace(CUBE, shape="sphere", friction=friction, push=push))
    start, seconds = push.at_frame + 1, 2 / 7 * 4.0 / (friction * arena.GRAVITY)
    until = start + int(seconds * STEP_RATE)
    assert deceleration_over_g(trajectory.positions[start:until], STEP_RATE) == pytest.approx(friction, rel=0.05)
    rolling = speeds(trajectory)[until + 3 : sliding(trajectory, push.at_frame).stop]
    assert rolling == pytest.approx(5 / 7 * 4.0, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mass", [0.5, 1.0, 3.0])
def test_velocity_after_the_push_is_impulse_over_mass(run, shape, mass):
    sample = replace(CUBE, shape=shape, friction=0.0, mass=mass)
    trajectory = run(sample, frames=6)
    at = sample.push.at_frame
    moved = (trajectory.positions[at + 1] - trajectory.positions[at])[:2] * STEP_RATE
    assert moved == pytest.approx((sample.push.x / mass, sample.push.y / mass), rel=0.02)


def test_two_masses_all_else_equal_show_their_ratio_and_brake_alike(run):
    push = replace(CUBE.push, magnitude=4.0)
    light, heavy = (run(replace(CUBE, mass=mass, friction=0.3, push=push)) for mass in (1.0, 2.5))
    at = push.at_frame + 1
    assert speeds(light)[at] / speeds(heavy)[at] == pytest.approx(2.5, rel=0.02)
    for trajectory in (light, heavy):
        free = trajectory.positions[sliding(trajectory, push.at_frame)]
        assert deceleration_over_g(free, STEP_RATE) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_object_rests_until_its_push_has_been_recorded_and_moves_in_the_next_frame(run, shape):
    trajectory = run(replace(CUBE, shape=shape, push=replace(CUBE.push, at_frame=5)), frames=10, fps=30)
    still = trajectory.positions[:6]
    assert (still == still[0]).all()
    assert (trajectory.quaternions[:6] == trajectory.quaternions[0]).all()
    assert (trajectory.velocities[:6] == 0).all()
    assert np.linalg.norm(trajectory.positions[6] - trajectory.positions[5]) > 0.05


@pytest.mark.parametrize("shape", SHAPES)
def test_the_object_rests_on_the_floor_and_not_above_or_in_it(run, shape):
    trajectory = run(replace(CUBE, shape=shape), frames=2)
    lowest = trajectory.positions[0, 2] + body_of(replace(CUBE, shape=shape)).bounds[0, 2]
    assert lowest == pytest.approx(0, abs=1e-3)


def test_a_slower_video_shows_every_eighth_step_of_the_same_motion(run):
    fine = run(replace(CUBE, push=replace(CUBE.push, at_frame=0)), frames=81, fps=240)
    coarse = run(replace(CUBE, push=replace(CUBE.push, at_frame=0)), frames=11, fps=30)
    # Settling takes two frames of the video, so it ends a hair's breadth apart.
    assert coarse.positions == pytest.approx(fine.positions[::8], abs=2e-3)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "cone"])
@pytest.mark.parametrize("start", [-1.0, -0.983, -0.962, -0.941])
def test_a_wall_gives_back_half_of_the_speed_wherever_in_a_step_it_is_met(run, shape, start):
    push = Push(magnitude=8.0, direction=0.0, at_frame=1)
    trajectory = run(replace(CUBE, shape=shape, friction=0.0, yaw=0.0, position=(start, 0.0), push=push), frames=400)
    assert trajectory.velocities[-1, 0] / trajectory.velocities[2, 0] == pytest.approx(-0.5, abs=0.005)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(8))
def test_the_object_stays_within_the_walls_and_gains_no_energy(run, shape, seed):
    made = declared(phase={"friction": {"min": 0.01, "max": 0.9}})
    sample = replace(draw(made.scene, made.phases[0].phase, seed)[1], shape=shape)
    trajectory = run(sample, frames=300)
    assert np.abs(trajectory.positions[:, :2]).max() < arena.HALF_SIZE
    assert trajectory.positions[:, 2].min() > 0
    energy = energies(trajectory, sample)[sample.push.at_frame + 1 :]
    least_so_far = np.minimum.accumulate(energy)
    assert (energy - least_so_far).max() < 1e-3 * energy[0]


def energies(trajectory, sample):
    """Kinetic and potential energy of each frame, J."""
    w, x, y, z = trajectory.quaternions.T
    turned = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        axis=1,
    )
    own = np.einsum("nji,nj->ni", turned, trajectory.angular_velocities)
    return (
        0.5 * sample.mass * (trajectory.velocities**2).sum(axis=1)
        + 0.5 * (body_of(sample).inertia * own**2).sum(axis=1)
        + sample.mass * arena.GRAVITY * trajectory.positions[:, 2]
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_sample_moves_the_same_way_to_the_last_bit(run, shape):
    sample = replace(CUBE, shape=shape)
    assert (run(sample).positions == run(sample).positions).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("offset", [-0.3, 0.4])
def test_a_push_beside_the_centre_turns_the_object_by_its_moment_of_inertia(run, shape, offset):
    push = replace(CUBE.push, offset=offset)
    trajectory = run(replace(CUBE, shape=shape, friction=0.0, push=push), frames=5)
    moment = body_of(replace(CUBE, shape=shape)).inertia[2]
    at = push.at_frame
    assert trajectory.angular_velocities[at + 1, 2] == pytest.approx(offset * push.magnitude / moment, rel=1e-3)
    assert trajectory.velocities[at + 1, :2] == pytest.approx((push.x / CUBE.mass, push.y / CUBE.mass), rel=1e-3)
    assert not trajectory.angular_velocities[at].any()


def test_each_push_changes_the_velocity_by_its_impulse_over_the_mass(run):
    pushes = tuple(Push(2.0, direction, at_frame=at) for direction, at in ((0.3, 8), (2.5, 14), (4.0, 20)))
    trajectory = run(replace(CUBE, friction=0.0, more=pushes), frames=24)
    for push in pushes:
        change = trajectory.velocities[push.at_frame + 1, :2] - trajectory.velocities[push.at_frame, :2]
        assert change == pytest.approx((push.x / CUBE.mass, push.y / CUBE.mass), rel=1e-3)


@pytest.mark.parametrize("restitution", [0.0, 0.3, 0.95])
def test_walls_leave_the_share_of_the_speed_that_the_clip_says(run, restitution):
    push = Push(magnitude=8.0, direction=0.0, at_frame=1)
    start = (1.0, 0.0)
    sample = replace(CUBE, friction=0.0, yaw=0.0, position=start, push=push, restitution=restitution)
    velocities = run(sample, frames=300).velocities[:, 0]
    first = int(np.argmax(velocities[2:] < velocities[2] / 2)) + 2
    assert velocities[first + 2] / velocities[2] == pytest.approx(-restitution, abs=0.01)


@pytest.mark.parametrize("gravity", [1.62, 3.7, 20.0])
def test_a_sliding_cube_slows_down_by_friction_times_gravity(run, gravity):
    push = replace(CUBE.push, magnitude=6.0)
    trajectory = run(replace(CUBE, friction=0.2, push=push, gravity=gravity), frames=40)
    speed = np.linalg.norm(trajectory.velocities[:, :2], axis=1)
    after = slice(push.at_frame + 1, push.at_frame + 15)
    slope = np.polyfit(np.arange(14) / STEP_RATE, speed[after], 1)[0]
    assert -slope / gravity == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("wall", [0.0, 0.3])
def test_friction_of_the_walls_slows_a_glancing_cube_and_leaves_that_of_the_floor(run, wall):
    push = Push(magnitude=10.0, direction=0.6, at_frame=1)
    sample = replace(CUBE, friction=0.0, yaw=0.0, position=(2.5, -2.0), push=push, wall_friction=wall)
    velocities = run(sample, frames=120).velocities
    hit = int(np.argmax(velocities[2:, 0] < velocities[2, 0] / 2)) + 4
    lost = 1 - velocities[hit, 1] / velocities[2, 1]
    assert lost < 1e-3 if wall == 0 else lost > 0.1

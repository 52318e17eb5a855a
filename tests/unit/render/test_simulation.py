"""Several bodies move as the laws of mechanics say."""

import math

import numpy as np
import pytest

from clipfarm_contract.experiment import SHAPES
from clipfarm_render.scene import arena, bodies, physics, simulation, stage
from clipfarm_render.scene.bodies import Spec
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.manifest import AssetFiles

RED = (0.5, 0.1, 0.1)


def body(place, shape, position, **more):
    how = {"size": 1.0, "mass": 2.0, "friction": 0.3} | more
    return Spec(f"body_{place}", shape, colour=RED, position=position, **how)


@pytest.fixture
def run(tmp_path):
    def run(specs, frames=60, fps=60, floor_restitution=0.0, **how):
        made = [bodies.place(spec, None, AssetFiles(tmp_path)) for spec in specs]
        built = stage.build(made, Camera(64), frames, fps, floor_restitution=floor_restitution)
        world = physics.simulator(built.scene, tmp_path)
        motion = simulation.simulate(world, made, frames, fps, **how)
        world.close()
        return motion

    return run


def momentum(motion, masses):
    return sum(mass * each.velocities for mass, each in zip(masses, motion.trajectories, strict=True))


@pytest.mark.parametrize("second", SHAPES)
@pytest.mark.parametrize("first", ["cube", "torus"])
def test_momentum_changes_by_gravity_and_what_stands_still_gives_and_by_nothing_else(run, first, second):
    specs = [body(0, first, (-2.0, 0.1, 0.0)), body(1, second, (0.0, 0.0, 0.0), mass=0.7)]
    motion = run(specs, frames=50, velocities={0: (5.0, 0.0, 0.0)}, settle=True)
    assert ("body_0", "body_1") in [hit.bodies for hit in motion.collisions]
    weight = np.array((0, 0, -arena.GRAVITY * 2.7 / 60))
    changes = np.diff(momentum(motion, (2.0, 0.7)), axis=0) - weight - motion.given[1:].sum(axis=1)
    assert np.abs(changes).max() < 1e-6


@pytest.mark.parametrize("shape", ["cube", "sphere", "torus"])
@pytest.mark.parametrize("restitution", [0.3, 0.6, 0.9])
def test_a_body_that_falls_flat_rises_to_the_square_of_its_restitution(run, shape, restitution):
    (trajectory,) = run(
        [body(0, shape, (0, 0, 2.0), restitution=restitution)], frames=360, fps=240, floor_restitution=1.0
    ).trajectories
    height = trajectory.positions[:, 2] - trajectory.positions[0, 2] + 2.0
    hit = int(np.argmax(trajectory.velocities[:, 2] > 0))
    apex = height[hit:].max()
    assert apex == pytest.approx(restitution**2 * 2.0, rel=0.01)


def test_a_hit_is_recorded_with_its_frame_place_and_impulse(run):
    motion = run([body(0, "sphere", (0.5, -0.5, 1.0), restitution=0.5)], frames=40, floor_restitution=1.0)
    speed, first = math.sqrt(2 * arena.GRAVITY), motion.collisions[0]
    assert first.bodies == ("body_0", "floor")
    assert first.impulse == pytest.approx(2.0 * 1.5 * speed, rel=0.01)
    assert first.position == pytest.approx((0.5, -0.5, 0.0), abs=0.01)
    assert first.normal == pytest.approx((0, 0, 1), abs=1e-3)
    velocities = motion.trajectories[0].velocities[:, 2]
    assert velocities[first.frame - 1] < 0 < velocities[first.frame], "it shows the body after the hit"


def test_objects_that_rest_on_each_other_neither_move_nor_collide(run):
    specs = [body(0, "cube", (0, 0, 0)), body(1, "cylinder", (0.2, 0, 1.0)), body(2, "cube", (0, 0.1, 1.7))]
    motion = run(specs)
    assert motion.collisions == ()
    assert max(np.abs(each.positions - each.positions[0]).max() for each in motion.trajectories) < 0.01


def test_the_same_bodies_move_the_same_way_to_the_last_bit(run):
    specs = [body(0, "cone", (-1.5, 0, 0.5)), body(1, "cube", (0, 0, 0.0)), body(2, "torus", (0, 0.2, 1.4))]
    first, second = (run(specs, velocities={0: (4.0, 0.0, 0.0)}) for _ in range(2))
    assert first.collisions == second.collisions
    for one, other in zip(first.trajectories, second.trajectories, strict=True):
        assert (one.states == other.states).all()

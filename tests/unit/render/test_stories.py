"""What happens in each experiment of several bodies, from its declaration to its motion; nothing is rendered."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.laws import Choice, Uniform
from clipfarm_contract.experiments.scene import Phase, Scene
from clipfarm_render import experiments
from clipfarm_render.checks import CheckError, Written
from clipfarm_render.scene import arena, physics
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.sample import Stream

NAMES = [name for name in EXPERIMENTS if name != "push"]
SIZE = 256


@dataclass(frozen=True)
class Played:
    cast: Any
    stage: Any
    motion: Any
    truth: Any

    def body(self, place):
        return self.motion.trajectories[place]

    def corners(self):
        """Return (frames, corners of all boxes, 3)."""
        every = []
        for body, each in zip(self.stage.bodies, self.motion.trajectories, strict=True):
            w, x, y, z = each.quaternions.T
            turn = np.array(
                [
                    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
                ]
            )
            box = np.array(np.meshgrid(*body.bounds.T)).reshape(3, -1).T
            every.append(np.einsum("ijf,cj->fci", turn, box) + each.positions[:, None])
        return np.concatenate(every, axis=1)


@pytest.fixture
def play(tmp_path):
    def play(name, seed=0, frames=32, fps=30, **laws):
        declaration, story = EXPERIMENTS[name], experiments.story(name)
        chosen = {each: Uniform(law, law) if isinstance(law, int | float) else law for each, law in laws.items()}
        phase = Phase("any", {**declaration.defaults, "object": Choice(SHAPES), **chosen})
        scene = Scene(name, frames, fps, SIZE, 16, ("rgb",), SHAPES, preview=False)
        stream = Stream(declaration, phase, seed)
        cast = story.draw(stream.values(), stream.values, scene)
        stage = story.build(cast, scene, tmp_path)
        world = physics.simulator(stage.scene, tmp_path, stage.fixtures)
        motion = story.move(world, stage, cast, frames, fps)
        world.close()
        return Played(cast, stage, motion, story.truth(cast, stage, motion, scene))

    return play


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_every_object_stays_in_the_picture_and_the_truth_says_where_it_is(play, name, seed):
    made = play(name, seed)
    pixels = Camera(SIZE).project(made.corners().reshape(-1, 3))
    assert pixels.min() > 0
    assert pixels.max() < SIZE
    assert made.truth.actions.shape == (32, 2)
    assert made.truth.states.shape == (32, len(made.stage.bodies), 13)
    assert made.truth.states[:, 0, :3] == pytest.approx(made.body(0).positions, abs=1e-5)
    names = [body["name"] for body in made.truth.document["bodies"]]
    assert names == [f"body_{place}" for place in range(len(names))]
    assert [body["segmentation"] for body in made.truth.document["bodies"]] == [1, 11, 12, 13][: len(names)]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_moves_the_same_way_and_another_one_does_not(play, name):
    first, again, other = play(name, 3, 10), play(name, 3, 10), play(name, 4, 10)
    assert (first.truth.states == again.truth.states).all()
    assert first.truth.document == again.truth.document
    assert first.truth.states.shape != other.truth.states.shape or (first.truth.states != other.truth.states).any()


@pytest.mark.parametrize("restitution", [0.3, 0.8])
def test_drop_a_sphere_rises_to_the_square_of_its_restitution(play, restitution):
    made = play("drop", frames=240, fps=120, object=Choice(("sphere",)), restitution=restitution, bodies=1, height=2)
    velocity, height = made.body(0).velocities[:, 2], made.body(0).positions[:, 2]
    hit = int(np.argmax(velocity > 0))
    apex = height[hit : hit + int(np.argmax(velocity[hit:] < 0)) + 1].max() - made.cast.specs[0].size / 2
    assert apex == pytest.approx(restitution**2 * 2, rel=0.01)


def test_drop_objects_fall_side_by_side_with_values_of_their_own(play):
    made = play("drop", 1, bodies=3)
    assert len(made.cast.specs) == 3
    assert len({spec.mass for spec in made.cast.specs}) == 3
    assert {hit.bodies[1] for hit in made.motion.collisions} >= {"floor"}
    assert made.truth.document["heights"] == [spec.position[2] for spec in made.cast.specs]


@pytest.mark.parametrize("seed", range(5))
def test_collide_the_moving_object_meets_the_one_at_rest(play, seed):
    made = play("collide", seed)
    hit = next(hit for hit in made.motion.collisions if hit.bodies == ("body_0", "body_1"))
    before, masses = made.body(1).positions[: hit.frame], [spec.mass for spec in made.cast.specs]
    assert np.abs(before - before[0]).max() < 1e-3, "until then it rests"
    assert np.linalg.norm(made.body(1).velocities[hit.frame]) > 0.3
    assert hit.impulse <= 2 * masses[0] * np.linalg.norm(made.body(0).velocities[0])


def test_collide_two_spheres_head_on_part_at_their_restitution(play):
    how = {"object": Choice(("sphere",)), "restitution": 0.5, "offset": 0, "friction": 0, "mass": 1, "size": 1}
    made = play("collide", fps=60, frames=50, **how)
    hit = made.motion.collisions[0]
    speeds = [np.linalg.norm(made.body(place).velocities[hit.frame]) for place in (0, 1)]
    start = made.cast.velocities[0]
    assert speeds == pytest.approx([0.25 * np.hypot(*start[:2]), 0.75 * np.hypot(*start[:2])], rel=1e-3)


@pytest.mark.parametrize("shape", ["cube", "cylinder", "cone", "torus"])
@pytest.mark.parametrize(("degrees", "share", "slides"), [(25, 0.95, True), (25, 1.02, False), (10, 0.985, True)])
def test_ramp_an_object_slides_if_the_slope_exceeds_its_friction(play, shape, degrees, share, slides):
    angle = math.radians(degrees)
    friction = share * math.tan(angle)
    made = play("ramp", frames=40, object=Choice((shape,)), friction=friction, angle=degrees, bodies=1)
    way = float(np.linalg.norm(made.body(0).positions[-1] - made.body(0).positions[0]))
    seconds, extra = 39 / 30, math.sin(angle) - friction * math.cos(angle)
    assert way == pytest.approx(0.5 * arena.GRAVITY * extra * seconds**2 if slides else 0, rel=0.1, abs=0.002)


@pytest.mark.parametrize("side", [0, 1])
def test_occlude_the_object_passes_behind_the_screen_and_comes_out(play, side):
    made = play("occlude", 1, side=side)
    x = made.body(0).positions[:, 0]
    assert (np.sign(x[0]), np.sign(x[-1])) == ((1, -1) if side else (-1, 1))
    assert made.motion.collisions == ()
    assert abs(x[-1]) > 1.2 + made.cast.specs[0].size / 2


@pytest.mark.parametrize(("shift", "stands"), [(0.0, True), (0.4, True), (0.6, False)])
def test_stack_two_cubes_fall_if_the_upper_ones_centre_is_not_above_the_lower_one(play, shift, stands):
    made = play("stack", object=Choice(("cube",)), bodies=2, shift=shift, yaw=0, direction=0, size=0.8)
    assert made.truth.document["stands"] is stands
    assert made.truth.document["shifts"] == [shift]


def written(made):
    """As the checks read a clip back; they look at no pixel."""
    corners = made.corners()
    return Written(np.zeros((len(corners), 4, 4, 3), np.uint8), made.truth.states, corners, made.truth.document)


def verdict(name, made, change=lambda seen: None):
    """Return the message with which the experiment's own check refuses a clip, None if it passes."""
    seen = written(made)
    change(seen)
    (check,) = experiments.story(name).CHECKS
    try:
        check(seen, Scene(name, 32, 30, SIZE, 16, ("rgb",), SHAPES, preview=False))
    except CheckError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(2))
def test_a_clip_by_the_default_laws_passes_its_own_check(play, name, seed):
    assert verdict(name, play(name, seed)) is None


def test_a_clip_in_which_nothing_falls_is_refused(play):
    message = verdict("drop", play("drop", height=0, tilt=0, frames=4))
    assert message.startswith("falls: body_0 falls 0.0")


def test_a_clip_in_which_two_objects_never_meet_is_refused(play):
    assert verdict("collide", play("collide", friction=1, speed=1)).startswith("meet: body_0 never reaches body_1")


def test_a_clip_whose_object_slides_where_it_should_stay_is_refused_and_the_other_way_round(play):
    laws = {"object": Choice(("cube",)), "bodies": 1, "frames": 12}

    def steep(seen):
        seen.truth["slope"] = 0.1

    def moves(seen):
        seen.states[-1, 0, 0] += 0.5

    assert verdict("ramp", play("ramp", friction=0.6, **laws)) is None
    assert verdict("ramp", play("ramp", friction=0.6, **laws), moves).endswith("expected it to stay")
    assert verdict("ramp", play("ramp", friction=0.2, **laws), steep).endswith("expected it to stay")
    assert verdict("ramp", play("ramp", friction=0.6, **laws), lambda seen: seen.truth.update(slope=0.9)).endswith(
        "expected it to slide down"
    )


def test_a_clip_whose_object_is_never_hidden_or_never_comes_out_is_refused(play):
    assert "hidden in 0 of 4 frames" in verdict("occlude", play("occlude", frames=4, side=0))
    assert verdict("occlude", play("occlude", frames=16, side=0)).startswith("hides: the object is hidden in ")


def test_a_stack_that_is_said_to_stand_and_falls_is_refused(play):
    made = play("stack", object=Choice(("cube",)), bodies=2, shift=0.7)
    assert verdict("stack", made) is None
    message = verdict("stack", made, lambda seen: seen.truth.update(stands=True))
    assert message.endswith("and the clip says that it stands")

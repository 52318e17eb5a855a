"""Twins and quadruplets: what their clips draw and show; nothing is rendered."""

import json
from dataclasses import replace

import numpy as np
import pytest

from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.groups import KINDS, Twins, Violations
from clipfarm_contract.experiments.laws import Choice, Uniform
from clipfarm_contract.experiments.scene import Phase, Scene
from clipfarm_render import conservation, experiments
from clipfarm_render.checks import CheckError, Written
from clipfarm_render.experiments import showing, staging
from clipfarm_render.experiments.groups import Violation
from clipfarm_render.job import ClipError

SEED = 7
PAIRS = [
    *(("push", kind) for kind in ("teleport", "vanish", "shape", "colour", "perpetual")),
    *(("collide", kind) for kind in ("pass-through", "no-reaction", "perpetual", "vanish")),
    ("drop", "colour"),
    ("occlude", "shape"),
    ("ramp", "teleport"),
    ("stack", "vanish"),
]
"""Every kind, and every experiment."""


def scene(name, **more):
    return Scene(name, 16, 15, 64, 4, ("rgb",), SHAPES, preview=False, **more)


def phase(name, **laws):
    objects = Choice(("cube", "cylinder", "cone"))
    return Phase("any", {**EXPERIMENTS[name].defaults, "object": objects, **laws})


@pytest.fixture
def show(tmp_path):
    def show(made, index, **laws):
        story = experiments.story(made.name)
        shown = staging.show(story, made, phase(made.name, **laws), SEED, index, tmp_path)
        shown.close()
        return shown

    return show


def document(shown, made):
    truth = shown.truth(experiments.story(made.name), made)
    return truth, json.loads(json.dumps(dict(truth.document)))


def test_every_kind_and_every_experiment_is_tried():
    assert {kind for _, kind in PAIRS} == set(KINDS)
    assert {name for name, _ in PAIRS} == set(EXPERIMENTS)


def test_twins_differ_in_what_varies_alone(show):
    made = scene("push", twins=Twins(4, ("friction", "hue")))
    samples = [show(made, index).told.sample for index in range(4, 8)]
    assert len({sample.friction for sample in samples}) == 4
    assert len({sample.colour for sample in samples}) == 4
    assert len({replace(sample, friction=0, colour=(0, 0, 0)) for sample in samples}) == 1


def test_the_first_of_a_group_draws_as_it_would_alone(show):
    alone = show(scene("push"), 4).told.sample
    assert show(scene("push", twins=Twins(4, ("friction",))), 4).told.sample == alone
    assert show(scene("push", violations=Violations(("teleport",), 2, 4)), 4).told.sample == alone


def test_a_clip_of_a_group_says_which_it_is(show):
    made = scene("push", twins=Twins(4, ("friction",)))
    _, found = document(show(made, 6), made)
    assert found["twin"] == {"group": 1, "member": 2, "varied": ["friction"]}


def test_bodies_of_twins_share_their_streams_too(show):
    made = scene("drop", twins=Twins(2, ("restitution",)))
    first, second = (show(made, index, bodies=Uniform(3, 3)).told.sample for index in (0, 1))
    assert first.specs != second.specs
    assert [replace(spec, restitution=0) for spec in first.specs] == [
        replace(spec, restitution=0) for spec in second.specs
    ]


def test_frames_of_violations_lie_in_their_range_and_all_kinds_come():
    made = scene("push", violations=Violations(("teleport", "vanish"), 3, 6))
    found = [Violation.draw(made, seed) for seed in range(60)]
    assert {each.frame for each in found} == {3, 4, 5, 6}
    assert {each.kind for each in found} == {"teleport", "vanish"}


def seen(shown, made):
    """Return what is shown on each frame: of each body that is there its looks and its place."""
    rows = []
    for frame in range(made.frames):
        there = []
        for place, body in enumerate(shown.stage.bodies):
            if shown.motion.visible[frame, place]:
                trajectory = shown.motion.trajectories[place]
                looks = (body.asset.shape.name, body.colour, body.number, tuple(body.asset.scale))
                there.append((looks, tuple(trajectory.positions[frame]), tuple(trajectory.quaternions[frame])))
        rows.append(there)
    return rows


def judged(shown, made):
    truth, found = document(shown, made)
    written = Written(np.zeros((made.frames, 4, 4, 3), np.uint8), truth.states, np.zeros((made.frames, 0, 3)), found)
    return conservation.judge(written, made, shown.breaks)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_impossible_clips_begin_as_possible_ones_and_break_their_law(show, name, kind):
    made = scene(name, violations=Violations((kind,), 6, 9))
    laws = {"impulse": Uniform(6, 7)} if name == "push" else {}
    shown = [show(made, index, **laws) for index in range(4)]
    said = [document(each, made)[1]["violation"] for each in shown]
    frame = said[0]["frame"]
    assert [(each["kind"], each["frame"], each["member"]) for each in said] == [(kind, frame, i) for i in range(4)]
    assert [each["possible"] for each in said] == [True, True, False, False]
    first, second, third, fourth = (seen(each, made) for each in shown)
    assert third[:frame] == first[:frame]
    assert fourth[:frame] == second[:frame]
    assert third[frame:] != first[frame:]
    assert fourth[frame:] != second[frame:]
    if kind in ("teleport", "vanish", "shape", "colour"):
        assert third[frame:] == second[frame:]
        assert fourth[frame:] == first[frame:]
    for each in shown[:2]:
        assert judged(each, made)["broken"] == []
    for each in shown[2:]:
        assert set(judged(each, made)["broken"]) & set(staging.BREAKS[kind])


@pytest.mark.parametrize(
    ("fps", "laws"),
    [
        (30, {"impulse": Uniform(40, 40), "mass": Uniform(0.5, 0.5)}),
        (2, {"impulse": Uniform(20, 30), "mass": Uniform(0.5, 0.6)}),
    ],
    ids=["into a wall within a frame", "from wall to wall within a frame"],
)
def test_a_push_is_possible_however_fast(show, fps, laws):
    made = replace(scene("push"), frames=6, fps=fps)
    for index in range(8):
        assert judged(show(made, index, **laws), made)["broken"] == []


def test_a_cone_that_is_hit_twice_between_two_frames_is_possible(tmp_path):
    made = replace(scene("drop"), fps=12)
    objects = Choice(("cube", "cylinder", "cone", "torus", "sphere"))
    shown = staging.show(experiments.story("drop"), made, phase("drop", object=objects), 3, 1, tmp_path)
    shown.close()
    hits = [each["frame"] for each in document(shown, made)[1]["events"]["collisions"] if "body_1" in each["bodies"]]
    assert hits == [9, 9]  # its rim, and then the rim's other side
    assert judged(shown, made)["broken"] == []


def behind_the_screen(shown, made):
    """Return the frames in which the object is not seen."""
    return np.flatnonzero(~showing.shown(shown.stage, shown.motion, 0, made.frames)).tolist()


@pytest.mark.parametrize("kind", ["vanish", "shape", "colour"])
def test_what_changes_behind_the_screen_is_seen_when_the_object_comes_out(show, kind):
    made = scene("occlude")
    hidden = behind_the_screen(show(made, 0), made)
    assert hidden
    assert 0 < hidden[0] < hidden[-1] < made.frames - 1
    middle = hidden[len(hidden) // 2]
    made = scene("occlude", violations=Violations((kind,), middle, middle))
    said = [document(show(made, index), made)[1]["violation"]["frame"] for index in range(4)]
    assert said == [middle] * 4


@pytest.mark.parametrize("kind", ["vanish", "shape", "colour"])
def test_what_would_change_unseen_changes_in_the_last_frame_that_shows_the_object(show, kind):
    """The clip ends before the object comes out, so the impossible clip would look like the possible one."""
    made = replace(scene("occlude"), frames=8)
    hidden = behind_the_screen(show(made, 0), made)
    assert hidden == [*range(hidden[0], 8)]
    made = replace(made, violations=Violations((kind,), 7, 7))
    said = [document(show(made, index), made)[1]["violation"]["frame"] for index in range(4)]
    assert said == [hidden[0] - 1] * 4


def test_a_change_that_nobody_can_see_is_refused():
    with pytest.raises(ClipError, match="violations: the object that changes is seen in no two frames"):
        showing.nearest(3, np.arange(8) == 2)
    assert showing.nearest(3, np.arange(8) < 2) == 1
    assert showing.nearest(3, np.ones(8, np.bool_)) == 3


def test_an_impossible_clip_in_which_every_law_holds_is_refused(show):
    made = scene("push", violations=Violations(("teleport",), 6, 9))
    possible = show(made, 0)
    with pytest.raises(CheckError, match="violation: continuity hold, expected one of them to be broken"):
        judged(replace(possible, breaks=("continuity",)), made)


def test_an_object_that_is_listed_twice_cannot_change_its_shape_for_certain():
    made = scene("push", violations=Violations(("shape",), 6, 9))
    found = made.problem(phase("push", object=Choice(("cube", "cube", "sphere"))))
    assert found == "violations: found a value of object twice, expected each once, so that shape takes two"
    assert made.problem(phase("push", object=Choice(("cube", "sphere")))) is None


def test_a_possible_clip_that_breaks_a_law_is_refused_by_its_name(show):
    made = scene("push", violations=Violations(("vanish",), 6, 9))
    with pytest.raises(CheckError, match=r"permanence: the object is there on \d+ of 16 frames"):
        judged(replace(show(made, 2), breaks=None), made)


def test_where_a_body_is_not_there_its_state_is_none(show):
    made = scene("push", violations=Violations(("vanish",), 6, 6))
    truth, found = document(show(made, 2), made)
    assert np.isnan(truth.states[6:]).all()
    assert np.isfinite(truth.states[:6]).all()
    assert found["object"]["visible"] == [True] * 6 + [False] * 10


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "push"])
@pytest.mark.parametrize("index", [1])
def test_clips_without_a_group_break_no_law(show, name, index):
    made = scene(name)
    assert judged(show(made, index), made)["broken"] == []


@pytest.mark.parametrize("kind", ["colour", "vanish"])
def test_all_clips_of_a_group_have_one_look_and_another_group_another_one(show, kind):
    made = scene("collide", violations=Violations((kind,), 4, 8))
    laws = {"cameraAzimuth": Uniform(-90, 90), "lightAzimuth": Uniform(0, 90), "floor": Choice(("planks", "plain"))}
    first, *others = (show(made, index, **laws) for index in (0, 1, 2, 3, 4))
    *same, other = others
    assert {each.stage.look for each in same} == {first.stage.look}
    for each in same:
        assert tuple(each.stage.scene.camera.position) == pytest.approx(first.stage.look.camera.position)
    assert other.stage.look != first.stage.look


def test_twins_may_vary_in_their_look_alone(show):
    made = scene("stack", twins=Twins(2, ("cameraAzimuth",)))
    one, other = (show(made, index, cameraAzimuth=Uniform(-90, 90)) for index in (2, 3))
    assert one.stage.look != other.stage.look
    assert (document(one, made)[0].states == document(other, made)[0].states).all()

"""What is true of a clip as flat columns: whatever its experiment, and however its files are."""

import json
import math

import numpy as np
import pytest

from clipfarm import truth
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip
from helpers.clips import make_clips


@pytest.fixture
def clip(tmp_path):
    clip = Clip(tmp_path / "clip_00000")
    clip.actions.parent.mkdir(parents=True)
    return clip


@pytest.mark.parametrize(
    ("document", "factors"),
    [
        pytest.param({"friction": 0.5, "mass": 2}, {"friction": 0.5, "mass": 2}, id="numbers"),
        pytest.param(
            {"object": {"shape": "cube", "rolls": False}}, {"object.shape": "cube", "object.rolls": False}, id="words"
        ),
        pytest.param({"colour": [1, 0, 0], "none": None, "odd": math.nan}, {}, id="no single values"),
        pytest.param(
            {"recipe": {"seed": 1}, "versions": {"bpy": "4"}, "seed": {"run": 1}},
            {},
            id="not drawn",
        ),
        pytest.param({"phase": "A1"}, {}, id="the phase is no factor"),
        pytest.param({"factors": {"gravity": 3.7}, "gravity": 9.8}, {"gravity": 3.7}, id="named factors win"),
        pytest.param(
            {"objects": [{"mass": 1}, {"mass": 2}]}, {"objects.0.mass": 1, "objects.1.mass": 2}, id="several bodies"
        ),
        pytest.param({"twin": {"group": 3, "member": 1}}, {"twin.group": 3, "twin.member": 1}, id="twins"),
    ],
)
def test_factors_are_the_single_values_of_a_ground_truth(clip, document, factors):
    clip.ground_truth.write_text(json.dumps(document))
    assert truth.read(clip).factors == factors


def test_no_ground_truth_gives_many_factors(clip):
    clip.ground_truth.write_text(json.dumps({f"value{i}": i for i in range(500)}))
    assert len(truth.read(clip).factors) == truth.MOST_FACTORS


SLIDE = [(0.0, 0.0), (0.0, 0.0), (0.3, 0.4), (0.6, 0.8), (0.6, 0.8), (0.6, 0.8)]


ROUND = [(0, 0), (1, 0), (0, 0), (0, 0)]
AT_REST = {"distance": 0, "displacement": 0, "top_speed": 0, "final_speed": 0}
SLID = {"distance": 1, "displacement": 1, "top_speed": 5, "final_speed": 0}
STOPPED = {"stopping_distance": 1, "stopping_time": 0.2}
CAME_BACK = {"distance": 2, "displacement": 0, "top_speed": 10, "stopping_distance": 2, "stopping_time": 0.2}


@pytest.mark.parametrize(
    ("states", "fps", "expected"),
    [
        pytest.param(SLIDE, 10, SLID | STOPPED, id="stopped"),
        pytest.param(SLIDE[:4], 10, SLID | {"final_speed": 5}, id="still moves"),
        pytest.param(ROUND, 10, CAME_BACK | {"final_speed": 0}, id="back to the start"),
        pytest.param(SLIDE, None, {"distance": 1, "displacement": 1}, id="no rate"),
        pytest.param([(0, 0), (0, 0)], 10, AT_REST, id="never moved"),
        pytest.param([(0, 0)], 10, {}, id="one frame"),
        pytest.param(
            [(0, 0, 1), (0, 0, 0)],
            10,
            {"distance": 1, "displacement": 1, "top_speed": 10, "final_speed": 10},
            id="a fall",
        ),
        pytest.param([(0, 0), (math.nan, 0)], 10, {}, id="not a number"),
        pytest.param([], 10, {}, id="no states"),
    ],
)
def test_outcomes_follow_from_the_states(states, fps, expected):
    assert truth.outcomes(states, fps) == pytest.approx(expected)


def test_each_of_several_bodies_has_a_path_and_outcomes(clip):
    states = np.zeros((3, 2, 13), np.float32)
    states[:, 0, 2] = [2, 1, 0]
    states[:, 1, 0] = [0, 3, np.nan]
    np.save(clip.states, states)
    found = truth.read(clip)
    assert found.bodies == 2
    assert found.paths[0] == ((0, 0, 2), (0, 0, 1), (0, 0, 0))
    assert len(found.states[0]) == 26
    assert found.outcomes == {"bodies.0.distance": 2, "bodies.0.displacement": 2}


def test_a_single_number_is_no_place():
    assert truth.paths([(0.0,), (1.0,)], 1) == ()


def test_events_are_counted(clip):
    clip.ground_truth.write_text(json.dumps({"events": {"collisions": [{"frame": 3}, {"frame": 5}]}}))
    assert truth.read(clip).outcomes == {"collisions": 2}


def test_a_clip_of_the_renderer_has_its_phase_and_rate(tmp_path):
    run = make_clips(tmp_path, frames=6, pictures=False, A1=1, B=1)
    found = truth.read(run.clip(1))
    assert (found.phase, found.fps, len(found.states)) == ("B", 30, 6)
    assert found.states[0] == pytest.approx(np.load(run.clip(1).states)[0])


def test_a_clip_without_truth_is_empty_and_damage_is_named(clip):
    found = truth.read(clip)
    assert (found.phase, found.factors, found.outcomes, found.states, found.paths) == ("", {}, {}, (), ())
    clip.ground_truth.write_text("{")
    with pytest.raises(ContractError, match=r"ground_truth.json: not JSON"):
        truth.read(clip)
    clip.ground_truth.write_text("[]")
    with pytest.raises(ContractError, match=r"ground_truth.json: expected an object"):
        truth.read(clip)


@pytest.mark.parametrize(
    ("column", "unit"),
    [("mass", "kg"), ("objects.1.mass", "kg"), ("impulse.x", "N s"), ("velocity.x", ""), ("friction", "")],
)
def test_units_are_given_where_they_are_known(column, unit):
    assert truth.unit(column) == unit

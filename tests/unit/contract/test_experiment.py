"""An experiment is read strictly: what is wrong is named, with its field."""

import json

import pytest

from clipfarm_contract.experiment import COMPOSITING, ClipRecipe, Experiment
from clipfarm_contract.experiments.reading import Declared, parse_clip
from clipfarm_contract.experiments.scene import clip_json
from clipfarm_contract.fields import ContractError, load
from clipfarm_contract.result import ChildReport
from helpers.runs import make_run

JSON = make_run(10).spec.experiment_json()


def changed(place, value):
    document = json.loads(JSON)
    *path, last = place.split(".")
    target = document
    for name in path:
        target = target[int(name) if name.isdigit() else name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("frames", "32", 'experiment.frames: found "32", expected a whole number'),
        ("frames", True, "experiment.frames: found true, expected a whole number"),
        ("frames", ..., "experiment.frames: missing, expected a whole number"),
        ("colour", "red", "experiment.colour: unknown field"),
        ("impulse.min", None, "experiment.impulse.min: found null, expected a number"),
        ("impulse.min", 99, "experiment.impulse: min 99 is above max 13"),
        ("impulse", [], "experiment.impulse: found [], expected an object"),
        ("layers", "rgb", 'experiment.layers: found "rgb", expected a list'),
        ("layers", [1], "experiment.layers[0]: found 1, expected a string"),
        ("phases.0.mass", {"min": 2, "max": 1}, "experiment.phases[0].mass: min 2 is above max 1"),
        ("phases.0.clips.end", ..., "experiment.phases[0].clips.end: missing, expected a whole number"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(place, value, message):
    with pytest.raises(ContractError) as error:
        Declared.from_json(changed(place, value))
    assert str(error.value) == message


def test_what_is_no_json_is_said():
    with pytest.raises(ContractError, match="experiment: not JSON"):
        Experiment.from_json("{")


def test_a_recipe_survives_json_and_makes_an_experiment_of_its_own():
    recipe = Experiment.from_json(JSON).recipe(42, 3)
    assert ClipRecipe.parse(json.loads(json.dumps(recipe.to_json())), "recipe") == recipe
    assert Experiment.from_json(recipe.run_experiment_json()).recipe(42, 3) == recipe
    assert clip_json(*parse_clip(json.loads(recipe.experiment_json()), "")) == recipe.experiment


@pytest.mark.parametrize(
    ("background", "own_renderer", "compositing"),
    [("cached", False, COMPOSITING), ("cached", True, 1), ("full", False, 1)],
)
def test_a_recipe_says_how_frames_are_composited_if_they_are(background, own_renderer, compositing):
    recipe = Experiment.from_json(changed("background", background)).recipe(42, 3, own_renderer=own_renderer)
    assert recipe.compositing == compositing
    assert recipe.to_json().get("compositing", 1) == compositing
    assert ClipRecipe.parse(json.loads(json.dumps(recipe.to_json())), "recipe") == recipe


def test_clips_from_before_compositing_had_a_number_have_the_first():
    document = Experiment.from_json(JSON).recipe(42, 3).to_json()
    del document["compositing"]
    assert ClipRecipe.parse(document, "recipe").compositing == 1


def test_a_clip_outside_every_phase_is_refused():
    with pytest.raises(ContractError, match="clip 10: no phase of the experiment holds it"):
        Experiment.from_json(JSON).recipe(42, 10)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": -Infinity}', "[" * 100_000])
def test_what_python_reads_and_json_does_not_allow_is_refused(text):
    with pytest.raises(ContractError, match="report: not JSON"):
        load(text, "report")


def test_a_number_beyond_all_floats_is_refused():
    with pytest.raises(ContractError, match=r"impulse\.min: found 1000"):
        Declared.from_json(changed("impulse.min", 10**400))


def test_a_reason_is_one_line_whatever_the_renderer_wrote(tmp_path):
    (tmp_path / "report.json").write_text('{"reason": "first\\nsecond\\t third"}')
    assert ChildReport.read(tmp_path / "report.json").reason == "first second third"


def test_an_experiment_that_nobody_here_knows_is_handed_on_and_compared_by_all_but_the_renderer():
    document = json.loads(JSON) | {"name": "juggle", "balls": 3}
    document["phases"][0]["factors"] = {"height": {"values": [1, 2]}}
    experiment = Experiment.from_json(json.dumps(document))
    recipe = experiment.recipe(42, 3)
    assert (experiment.picture.frames, recipe.picture.resolution) == (document["frames"], document["resolution"])
    assert ClipRecipe.parse(json.loads(json.dumps(recipe.to_json())), "recipe") == recipe
    changed = Experiment.from_json(json.dumps(document | {"balls": 4})).recipe(42, 3)
    assert recipe.difference(changed) == "experiment.balls 4 instead of 3"
    with pytest.raises(ContractError, match=r'^experiment\.name: found "juggle", expected push, '):
        Declared.from_json(json.dumps(document))

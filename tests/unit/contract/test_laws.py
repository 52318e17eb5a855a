"""Laws of factors, and the combinations that a run holds out."""

import math

import pytest

from clipfarm_contract.experiments import EXPERIMENTS, laws
from clipfarm_contract.experiments.exclusion import Exclusion
from clipfarm_contract.experiments.laws import Choice, Log, Uniform
from clipfarm_contract.experiments.scene import clip_json
from clipfarm_contract.fields import ContractError
from helpers.experiments import declared

NUMBERS = [i / 1000 for i in range(1000)]


@pytest.mark.parametrize(
    ("given", "law"),
    [
        ({"min": 1, "max": 2}, Uniform(1, 2)),
        ({"value": 2}, Uniform(2, 2)),
        ({"values": [1, 2]}, Choice((1.0, 2.0))),
        ({"log": {"min": 0.1, "max": 10}}, Log(0.1, 10)),
        ({"names": ["planks", "tiles"]}, Choice(("planks", "tiles"))),
    ],
)
def test_a_law_has_four_forms(given, law):
    assert laws.parse(given, "law") == law
    assert laws.parse(law.to_json(), "law") == law


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, f"law: found {{}}, expected {laws.FORMS}"),
        (3, "law: found 3, expected an object"),
        ({"values": []}, "law.values: found [], expected at least one"),
        ({"values": ["a"]}, 'law.values[0].value: found "a", expected a number'),
        ({"min": 2, "max": 1}, "law: min 2 is above max 1"),
        ({"min": 2}, "law.max: missing, expected a number"),
        ({"log": {"min": 0, "max": 1}}, "law.log.min: found 0, expected more than 0"),
        ({"value": 1, "min": 2}, "law.min: unknown field"),
    ],
)
def test_a_law_of_another_form_is_refused(given, message):
    with pytest.raises(ContractError) as error:
        laws.parse(given, "law")
    assert str(error.value) == message


def test_a_uniform_law_fills_its_range_evenly_and_a_logarithmic_one_gives_each_decade_as_much():
    uniform, spread = Uniform(1, 3), Log(0.01, 100)
    assert sum(uniform.at(u) < 2 for u in NUMBERS) == 500
    for low in (0.01, 0.1, 1, 10):
        assert sum(low <= spread.at(u) * (1 + 1e-12) < low * 10 for u in NUMBERS) == 250
    assert spread.at(0) == pytest.approx(0.01)
    assert spread.at(math.nextafter(1, 0)) <= 100


def test_a_choice_takes_each_value_as_often_and_a_whole_factor_each_number_from_min_to_max():
    assert [sum(Choice((1.0, 5.0)).at(u) == value for u in NUMBERS) for value in (1, 5)] == [500, 500]
    drawn = [Uniform(2, 5).whole_at(u) for u in NUMBERS]
    assert [drawn.count(value) for value in (2, 3, 4, 5)] == [250, 250, 250, 250]


@pytest.mark.parametrize(
    ("exclusion", "held", "free"),
    [
        ({"objects": ["cone"]}, {"object": "cone"}, {"object": "cube"}),
        ({"factors": {"friction": {"min": 0.5}}}, {"friction": 0.5}, {"friction": 0.4}),
        ({"factors": {"friction": {"max": 0.5}}}, {"friction": 0.5}, {"friction": 0.6}),
        ({"factors": {"mass": {"value": 2}}}, {"mass": 2.0}, {"mass": 2.1}),
        ({"factors": {"mass": {"values": [1, 2]}}}, {"mass": 1.0}, {"mass": 1.5}),
        (
            {"objects": ["cone"], "factors": {"friction": {"min": 0.5}}},
            {"object": "cone", "friction": 0.7},
            {"object": "cone", "friction": 0.3},
        ),
    ],
)
def test_an_exclusion_holds_out_what_meets_all_of_its_conditions(exclusion, held, free):
    made = Exclusion.parse(exclusion, "exclude[0]")
    others = {"object": "torus", "friction": 0.2, "mass": 3.0}
    assert made.holds(others | held)
    assert not made.holds(others | free)
    assert Exclusion.parse(made.to_json(), "exclude[0]") == made


@pytest.mark.parametrize(
    ("exclude", "problem"),
    [
        ({"objects": ["cube"]}, "exclude[0]: found every clip held out, expected some that are not"),
        ({"factors": {"friction": {"min": 0}}}, "exclude[0]: found every clip held out, expected some that are not"),
        ({"factors": {"friction": {"min": 0.6}}}, None),
        ({"factors": {"friction": {"values": [0.5, 0.9]}}}, None),
        ({"objects": ["cone"]}, None),
    ],
)
def test_a_phase_of_which_nothing_is_left_is_refused(exclude, problem):
    made = declared(phase={"exclude": [exclude]})
    assert made.scene.problem(made.phases[0].phase) == problem


def test_the_last_clips_of_a_phase_may_be_for_validation():
    made = declared(phase={"eval": 20})
    assert [(entry.start, entry.end, entry.phase.split) for entry in made.phases] == [(0, 79, "train"), (80, 99, "val")]
    experiment = made.experiment()
    assert [experiment.recipe(0, i).experiment["phase"].get("split") for i in (0, 79, 80)] == ["train", "train", "val"]


def test_a_law_that_is_no_other_than_the_one_a_factor_has_anyway_is_not_recorded():
    plain = declared()
    same = declared(factors={"size": {"min": 1.1, "max": 1.5}}, phase={"factors": {"atFrame": {"value": 1}}})
    assert same.document() == plain.document()
    assert "factors" not in plain.document()["phases"][0]


def test_a_law_of_the_experiment_is_recorded_with_each_phase_that_has_none_of_its_own():
    made = declared(factors={"size": {"value": 1.2}, "x": {"values": [0, 1]}}, phase={"factors": {"x": {"value": 1}}})
    [phase] = made.document()["phases"]
    assert phase["factors"] == {"size": {"min": 1.2, "max": 1.2}, "x": {"min": 1.0, "max": 1.0}}
    assert clip_json(made.scene, made.phases[0].phase)["phase"]["factors"] == phase["factors"]


def test_the_impulse_among_the_factors_is_the_one_of_its_own_field():
    long = declared(impulse={"min": 3, "max": 4, "atFrame": 2})
    factors = {"impulse": {"min": 3, "max": 4}, "atFrame": {"value": 2}}
    assert declared(impulse=..., factors=factors).document() == long.document()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_declaration_is_in_order(name):
    declaration = EXPERIMENTS[name]
    assert declaration.name == name
    assert len(declaration.by_name) == len(declaration.factors), "each factor once"
    for factor in declaration.factors:
        assert factor.problem(factor.default, frames=16) is None
        assert factor.meaning[0].isupper(), factor.name
        assert not factor.meaning.endswith("."), factor.name

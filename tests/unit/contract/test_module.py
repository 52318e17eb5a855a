"""An experiment of the user's own, as all parts but the renderer read it: by its hash, and its laws unread."""

import json

import pytest

from clipfarm_contract.experiment import Experiment
from clipfarm_contract.experiments import looks
from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Uniform
from clipfarm_contract.experiments.module import Module
from clipfarm_contract.experiments.reading import Declared, parse_clip
from clipfarm_contract.fields import ContractError
from helpers.experiments import TINY

MODULE = Module.of("DECLARATION = ...\n")
NAMES = ("spin", "friction", "impulse", "mass")
DECLARATION = Declaration("spin", "It spins", tuple(Factor(each, each, Uniform(0, 1)) for each in NAMES))
SPIN = {name: value for name, value in TINY.items() if name != "impulse"} | {
    "name": "spin",
    "module": MODULE.to_json() | {"source": MODULE.source},
    "factors": {"spin": {"value": 0.5}, "impulse": {"min": 0, "max": 1}},
    "exclude": [{"factors": {"mass": {"min": 0.9}}}],
    "phases": [{"name": "A", "clips": {"start": 0, "end": 3}, "friction": {"min": 0.2, "max": 0.3}}],
}


def read(document=SPIN, declare=None):
    return Declared.from_json(json.dumps(document), declare=declare)


def test_all_that_a_run_says_of_its_factors_is_in_a_clips_recipe_although_nothing_has_read_it():
    recipe = read().experiment().recipe(1, 2)
    assert recipe.experiment["phase"] == {
        "name": "A",
        "friction": {"min": 0.2, "max": 0.3},
        "factors": {"spin": {"min": 0.5, "max": 0.5}, "impulse": {"min": 0.0, "max": 1.0}},
        "exclude": [{"factors": {"mass": {"min": 0.9}}}],
    }


def test_a_recipe_has_the_hash_of_the_module_and_the_renderer_its_text():
    made = read()
    assert made.document_with_source()["module"] == {"sha256": MODULE.sha256, "source": MODULE.source}
    for whole in (made.experiment(), Experiment(made.document_with_source())):
        assert whole.recipe(1, 2).experiment["module"] == {"sha256": MODULE.sha256}


def test_reading_what_was_read_changes_nothing():
    made = read().document_with_source()
    assert read(made).document_with_source() == made


def test_the_renderer_reads_the_laws_of_a_clip_by_the_declaration():
    recipe = read().experiment().recipe(1, 2)
    scene, phase = parse_clip(recipe.experiment, "clip", lambda name, module: DECLARATION)
    assert (scene.is_read, scene.problem(phase)) == (True, None)
    assert phase.laws["spin"] == Uniform(0.5, 0.5)
    with pytest.raises(ContractError, match="spun: unknown factor of spin"):
        read(SPIN | {"factors": {"spun": {"value": 1}}}, lambda name, module: DECLARATION)


@pytest.mark.parametrize("span", [{"names": ["planks"]}, {"min": 1}, {"values": [1, 2]}])
def test_conditions_of_an_exclusion_are_left_to_the_renderer(span):
    changed = SPIN | {"exclude": [{"factors": {"floor": span}}]}
    (entry,) = read(changed).experiment().recipe(1, 2).experiment["phase"]["exclude"]
    assert entry["factors"]["floor"].keys() == span.keys()
    declaration = Declaration("spin", "It spins", (*DECLARATION.factors, looks.FLOOR))
    if "names" in span:
        assert read(changed, lambda name, module: declaration)
        return
    with pytest.raises(ContractError, match=r"factors.floor: found numbers, expected names: tiles"):
        read(changed, lambda name, module: declaration)


def test_an_object_has_no_law_among_the_factors():
    with pytest.raises(ContractError, match=r"^experiment.factors.object: unknown factor of spin$"):
        read({**SPIN, "factors": {"object": {"value": 1}}, "exclude": [], "phases": [{"name": "A", "clips": {}}]})


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ({}, "module.sha256: missing"),
        ({"sha256": "12"}, 'module.sha256: found "12", expected 64 hexadecimal digits'),
        ({"sha256": MODULE.sha256, "source": "x"}, "module.sha256: found .*, expected .*, that of the source"),
        ({"sha256": MODULE.sha256, "sauce": "x"}, "module.sauce: unknown field"),
        ("spin.py", 'module: found "spin.py", expected an object'),
    ],
)
def test_a_module_that_is_none_is_refused(module, message):
    with pytest.raises(ContractError, match=message):
        read(SPIN | {"module": module})

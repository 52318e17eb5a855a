"""A module of the user's own that cannot be run is refused in one line, with its file and line."""

import json

import pytest

from clipfarm_contract.experiments.module import Module
from clipfarm_contract.fields import ContractError
from clipfarm_render import own_experiment
from helpers.chart import ROOT

GOOD = """\
from clipfarm_contract.experiments import factors
from clipfarm_contract.experiments.declaration import Declaration

DECLARATION = Declaration("spin", "It spins", (factors.MASS,))
CHECKS = ()


def draw(values, another, scene):
    return values["mess"]


build = move = truth = draw
"""
NAMES = "DECLARATION, draw, build, move, truth, CHECKS"
BAD = {
    "syntax": (GOOD.replace("def draw(", "def draw(:"), "spin.py, line 8: invalid syntax"),
    "name": (GOOD.replace("(factors.MASS,)", "(factors.MESS,)"), "spin.py, line 4: AttributeError: module"),
    "import": (f"import numpi\n{GOOD}", "spin.py, line 1: ModuleNotFoundError: No module named 'numpi'"),
    "raises deeper": (f"import json\njson.loads('')\n{GOOD}", "spin.py, line 2: JSONDecodeError: Expecting value"),
    "leaves": (f"import sys\nsys.exit(0)\n{GOOD}", "spin.py, line 2: SystemExit: 0"),
    "nul": ("x = '\0'", "spin.py, line 1: source code string cannot contain null bytes"),
    "nothing": ("x = 1\n", f"spin.py: found no DECLARATION and no draw and no build and no move and no truth and no"
                f" CHECKS, expected {NAMES}"),
    "one is missing": (GOOD.replace("build = ", ""), f"spin.py: found no build, expected {NAMES}"),
    "another name": (GOOD.replace('"spin"', '"spun"'), 'spin.py: found the name "spun" in DECLARATION, expected spin'),
    "no declaration": (f"{GOOD}DECLARATION = 3\n", "spin.py: found 3 as DECLARATION, expected a Declaration"),
    "no function": (f"{GOOD}move = 3\n", "spin.py: found move that is no function"),
    "checks": (f"{GOOD}CHECKS = [draw]\n", "spin.py: found CHECKS that is no tuple of functions"),
    "no factor": (GOOD.replace("(factors.MASS,)", "('mass',)"), "spin.py: found factors that are no tuple of Factor"),
    "a list": (GOOD.replace("(factors.MASS,)", "[factors.MASS]"), "spin.py: found factors that are no tuple of Factor"),
    "no law": (GOOD.replace("(factors.MASS,)", "(factors.Factor('spin', 'Spin', 3),)"),
               "spin.py: found 3 as the default of spin, expected a law"),
    "twice": (GOOD.replace("(factors.MASS,)", "(factors.MASS, factors.MASS)"),
              "spin.py: found the factor mass twice, expected each once"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_a_module_is_one_line(source, message):
    with pytest.raises(ContractError) as error:
        own_experiment.declare("spin", Module.of(source))
    assert str(error.value).startswith(f"experiment.module: {message}")
    assert "\n" not in str(error.value)


def test_an_error_in_one_of_its_functions_is_told_from_one_of_clipfarms_own():
    module = Module.of(GOOD)
    assert own_experiment.declare("spin", module).by_name.keys() == {"mass"}
    with pytest.raises(KeyError) as error:
        own_experiment.loaded(module).draw({}, None, None)
    assert own_experiment.in_module(error.value) == "experiment.module: spin.py, line 9: "
    with pytest.raises(ValueError, match="Expecting") as other:
        json.loads("")
    assert own_experiment.in_module(other.value) == ""
    assert own_experiment.said_of("spin", error.value) == "experiment.module: spin.py, line 9: KeyError: 'mess'"
    assert own_experiment.said_of("spin", other.value).startswith("experiment.module: spin.py: JSONDecodeError: Expec")


def test_a_file_that_was_changed_after_the_run_began_is_not_run(tmp_path):
    module = Module.of(GOOD)
    (path := tmp_path / "kept.py").write_text(GOOD)
    assert own_experiment.read(path, Module(module.sha256)) == module
    path.write_text(f"{GOOD}import os\n")
    with pytest.raises(ContractError, match=r"kept\.py changed, expected the file with the SHA-256"):
        own_experiment.read(path, Module(module.sha256))


def test_the_example_module_is_the_example_of_an_experiment_in_the_documents():
    document = (ROOT / "docs" / "extending.md").read_text()
    module = (ROOT / "examples" / "own-experiment" / "slide.py").read_text()
    head, *parts = module.split("\n\n\n")
    for part in ("DECLARATION" + head.partition("\nDECLARATION")[2], *parts):
        assert part.strip() in document

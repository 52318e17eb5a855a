"""An experiment in a run, as docs/extending.md shows it: the example, and what is said of one that is wrong."""

from pathlib import Path

import pytest
import yaml

from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiments.module import Module
from clipfarm_contract.layout import RunFolder
from helpers.experiments import TINY
from helpers.local import clipfarm

from .conftest import Supervisor

pytestmark = pytest.mark.blender
EXAMPLE = Path(__file__).parents[3] / "examples" / "own-experiment"
SOURCE = (EXAMPLE / "slide.py").read_text()


def line_of(text: str) -> int:
    return 1 + SOURCE[: SOURCE.index(text)].count("\n")


def test_clips_of_the_example_have_its_motion_and_are_made_again_to_the_byte(tmp_path):
    output = tmp_path / "slides"
    ran = clipfarm("local", EXAMPLE / "run.yaml", "--output", output, "--test-clips", 1)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    manifest = ClipManifest.read(RunFolder(output).clip(0).manifest)
    assert manifest.recipe.experiment["module"] == {"sha256": Module.of(SOURCE).sha256}
    assert 3 / 30 * 0.9 < manifest.checks["glides"]["step"] < 4 / 30, "its speed is from 3 to 4 m/s at 30 frames/s"
    kept = RunFolder(output).module(Module.of(SOURCE).sha256)
    assert kept.read_text() == SOURCE
    again = clipfarm("clip", output, 0, "--exact")
    assert again.stdout == "clip 0, made again: every byte is the same\n", again.stderr
    kept.write_text(f"{SOURCE}\n")
    lost = clipfarm("clip", output, 0)
    assert lost.returncode == 1
    assert lost.stdout == f"clip 0: found {kept} changed, expected the module by which the clip was made\n"


@pytest.mark.parametrize(
    ("old", "new", "code", "reason"),
    [
        ("import math", "import maths", ExitCode.USAGE, "line {}: ModuleNotFoundError: No module named 'maths'"),
        ('Factor("speed"', 'Factor("sped"', ExitCode.USAGE, "factors.speed: unknown factor of slide"),
        ('number["speed"] * along[0]', 'number["sped"]', ExitCode.FAILED, "line {}: KeyError: 'sped'"),
    ],
    ids=["import", "factor", "draw"],
)
def test_a_mistake_in_a_module_is_the_reason_of_the_first_clip_and_no_other_is_tried_where_all_would_fail(
    tmp_path, old, new, code, reason
):
    assert old in SOURCE
    module = Module.of(SOURCE.replace(old, new))
    experiment = {name: value for name, value in TINY.items() if name != "impulse"} | {
        "name": "slide",
        "module": module.to_json() | {"source": module.source},
        "factors": {"speed": {"value": 3}},
    }
    ended = Supervisor(tmp_path)(experiment=experiment, count=2)
    assert ended.code == code
    assert reason.format(line_of(old)) in ended.result(0).reason
    if code is ExitCode.USAGE:
        assert ended.lines[-1] == f"clipfarm-render: clip 0: failed (64): {ended.result(0).reason}"
        assert not ended.run.result(1).exists()
    else:
        assert ended.result(0).reason.startswith("experiment.module: slide.py, ")


def test_plan_has_the_renderer_try_a_module_before_anything_starts(tmp_path):
    (tmp_path / "slide.py").write_text(SOURCE.replace('number["gravity"]', 'number["gravitas"]'))
    document = yaml.safe_load((EXAMPLE / "run.yaml").read_text())
    (path := tmp_path / "run.yaml").write_text(yaml.safe_dump(document))
    line = line_of('number["gravity"]')
    for command in ("plan", "local"):
        ran = clipfarm(command, path, "--output", tmp_path / "none")
        assert ran.returncode == 2
        assert ran.stderr == f"spec.experiment.module: slide.py, line {line}: KeyError: 'gravitas'\n"
    assert not (tmp_path / "none").exists()

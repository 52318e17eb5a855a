"""A renderer that is older than the run's experiment refuses it at once, and the operator says why."""

import json
import subprocess
import sys

import pytest

from clipfarm.decide.retry import judge
from clipfarm.retry import Retry
from clipfarm.world import Ended
from clipfarm_contract.environment import RUN_EXPERIMENT
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiments.module import Module
from helpers.experiments import TINY

from .conftest import environment

OLDER = """
import sys
from clipfarm_contract.experiments import EXPERIMENTS
for name in sys.argv.pop(1).split(","):
    EXPERIMENTS.pop(name)
from clipfarm_render.supervising.supervisor import main
sys.exit(main())
"""
"""A renderer of the time before some experiments were declared."""
DROP = {name: value for name, value in TINY.items() if name != "impulse"} | {"name": "drop"}
DROP["phases"] = [{"name": "A", "clips": {"start": 0, "end": 1}}]


def supervise(folder, experiment, without):
    done = subprocess.run(
        [sys.executable, "-c", OLDER, without, "--output", str(folder / "out"), "--seed", "1", "--index", "0"],
        env=environment() | {RUN_EXPERIMENT: json.dumps(experiment)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("without", "expected"),
    [("drop", "push, collide, ramp, occlude or stack"), ("drop,collide,ramp,occlude,stack", "push")],
)
def test_an_experiment_that_a_renderer_does_not_know_ends_the_run_with_what_to_do(tmp_path, without, expected):
    code, line = supervise(tmp_path, DROP, without)
    reason = f'experiment.name: found "drop", expected {expected}'
    assert (code, line) == (ExitCode.USAGE, f"clipfarm-render: {reason}")
    assert not (tmp_path / "out").exists()
    fatal = judge(Retry(), [Ended(0, ExitCode.USAGE, reason, 1000.0, 1)]).fatal
    assert fatal.endswith("so the renderer's image is older: use images of one version")


def test_a_renderer_of_before_modules_refuses_a_run_with_one_by_its_name(tmp_path):
    """It reads the name before anything else, as this one does where there is no module."""
    module = Module.of("x = 1")
    with_module = DROP | {"name": "slide", "module": module.to_json() | {"source": module.source}}
    without = {name: value for name, value in with_module.items() if name != "module"}
    code, line = supervise(tmp_path, without, "drop")
    assert code == ExitCode.USAGE
    assert line.startswith('clipfarm-render: experiment.name: found "slide", expected push')

"""What `clipfarm plan` passes `clipfarm local` does not refuse; what it lists as missing, `local` refuses likewise."""

from pathlib import Path
from typing import Any

import yaml

from helpers.local import clipfarm
from helpers.runs import document

LISTED = "`clipfarm local` cannot do it here: "
ENCODE = {"weights": {"source": "random"}, "model": "vjepa2_tiny16"}


def ways(folder: Path, env: dict[str, str], **spec: Any) -> tuple[list[str], list[str], tuple[int, int]]:
    """What `plan` lists as missing or refuses, what `local` refuses, and both exit codes."""
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(document(2, **spec)))
    plan = clipfarm("plan", path, env=env)
    listed = [line.removeprefix(LISTED) for line in plan.stdout.splitlines() if line.startswith(LISTED)]
    local = clipfarm("local", path, "--output", folder / "out", "--dry_run", env=env)
    return listed + plan.stderr.splitlines(), local.stderr.splitlines(), (plan.returncode, local.returncode)


def test_what_is_missing_on_this_machine_alone_is_listed_by_the_one_and_refused_by_the_other(tmp_path):
    experiment = document(2)["spec"]["experiment"] | {"objects": ["teapot"], "assets": {"manifest": "/clips/GSO.json"}}
    env = {"OMP_NUM_THREADS": "many"}
    plan, local, codes = ways(tmp_path, env, experiment=experiment, encode=ENCODE, suspend=True)
    assert codes == (0, 2)
    assert [line.partition("; in a cluster ")[0] for line in plan] == local
    assert [line.split(":")[0] for line in local] == [
        "spec.experiment.assets.manifest",
        "the variable OMP_NUM_THREADS",
        "spec.suspend",
    ]


def test_thread_variables_that_the_encoder_takes_are_passed_by_both(tmp_path):
    assert ways(tmp_path, {"OMP_NUM_THREADS": "", "MKL_NUM_THREADS": "4,2"}, encode=ENCODE) == ([], [], (0, 0))


def test_friction_above_the_renderers_is_a_mistake_for_both(tmp_path):
    phase = document(2)["spec"]["experiment"]["phases"][0] | {"friction": {"min": 0.5, "max": 1.5}}
    plan, local, codes = ways(tmp_path, {}, experiment={"phases": [phase]})
    assert (codes, plan) == ((2, 2), local)

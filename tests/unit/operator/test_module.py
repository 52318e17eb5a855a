"""A run file may name a Python file with an experiment; the operator sees its text and never runs it."""

import json
from io import StringIO
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from rich.console import Console

from clipfarm.cli import needs
from clipfarm.cli.inline import inline
from clipfarm.cli.plan import describe, plan
from clipfarm.local.job import Job
from clipfarm.manifests.preview import objects
from clipfarm.run_file import RunFileError, parse_run, read_run
from clipfarm_contract.environment import RUN_EXPERIMENT
from clipfarm_contract.experiments.module import MOST_SOURCE, Module
from clipfarm_contract.layout import RunFolder
from helpers.chart import ROOT

EXAMPLE = ROOT / "examples" / "own-experiment"
SOURCE = (EXAMPLE / "slide.py").read_text()


def document(**module: object) -> dict:
    made = yaml.safe_load((EXAMPLE / "run.yaml").read_text())
    made["spec"]["experiment"]["module"] = module
    return made


def write(folder: Path, **module: object) -> Path:
    (path := folder / "run.yaml").write_text(yaml.safe_dump(document(**module)))
    return path


def test_the_file_is_looked_for_beside_the_run_file_and_its_text_takes_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "slide.py").write_text(SOURCE)
    run = read_run(write(tmp_path, file="own/slide.py"))
    assert run == parse_run(yaml.safe_dump(document(source=SOURCE)), "run.yaml")


def test_another_module_makes_other_clips():
    def recipe(source):
        return parse_run(yaml.safe_dump(document(source=source)), "run.yaml").spec.contract().recipe(7, 0)

    assert recipe(SOURCE).experiment["module"] == {"sha256": Module.of(SOURCE).sha256}
    assert recipe(SOURCE) != recipe(f"{SOURCE}\n")


def test_inlined_a_run_is_the_same_and_reads_as_a_person_would_write_it():
    made = CliRunner().invoke(inline, [str(EXAMPLE / "run.yaml")])
    assert made.exit_code == 0, made.output
    assert parse_run(made.output, "run.yaml") == read_run(EXAMPLE / "run.yaml")
    assert "\n        DECLARATION = Declaration(\n" in made.output


def test_inlined_a_run_has_its_words_in_quotes_that_kubectl_reads_otherwise(tmp_path):
    spec = document(source=SOURCE)
    spec["spec"]["experiment"]["factors"] |= {"y": {"value": 1}}
    spec["spec"]["experiment"]["phases"][0]["name"] = "1e3"
    (path := tmp_path / "run.yaml").write_text(json.dumps(spec))
    made = CliRunner().invoke(inline, [str(path)])
    assert parse_run(made.output, "run.yaml") == read_run(path)


def test_inlined_the_other_objects_of_a_file_are_still_there(tmp_path):
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "clips"}}
    (path := tmp_path / "run.yaml").write_text(yaml.safe_dump_all([claim, document(source=SOURCE), claim]))
    made = CliRunner().invoke(inline, [str(path)])
    first, run, last = yaml.safe_load_all(made.output)
    assert (first, last) == (claim, claim)
    assert run["spec"]["experiment"]["module"] == {"source": SOURCE}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "spec.experiment.module.file: slide.py: No such file or directory"),
        (b"\xff\xfe", "spec.experiment.module.file: found slide.py, expected a text in UTF-8"),
        (b"", "spec.experiment.module.source: found nothing, expected a text"),
        (b"#" * (MOST_SOURCE + 1), f"spec.experiment.module.source: found {MOST_SOURCE + 1} characters, expected"
         f" {MOST_SOURCE} or fewer"),
        (b"#" * (MOST_SOURCE * 4 + 1), f"spec.experiment.module.file: slide.py: more than {MOST_SOURCE * 4} bytes"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_taken_is_one_line(tmp_path, content, line):
    if content is not None:
        (tmp_path / "slide.py").write_bytes(content)
    path = write(tmp_path, file="slide.py")
    with pytest.raises(RunFileError) as error:
        read_run(path)
    assert error.value.lines == (f"{path}: {line}",)


def test_a_plan_shows_of_each_phase_the_laws_that_it_has(monkeypatch):
    """Friction is no factor that every module has; where a phase says nothing of it, nothing is known."""
    monkeypatch.setattr(needs, "NEEDS", ())  # the renderer has no part in it
    spec = document(source=SOURCE)
    first, second = (
        {"name": name, "clips": {"start": start, "end": start + 1}} for name, start in (("A", 0), ("B", 2))
    )
    spec["spec"]["experiment"] |= {"factors": {}, "phases": [first | {"friction": {"min": 0.1, "max": 0.2}}, second]}
    job = Job(parse_run(yaml.safe_dump(spec), "run.yaml"), RunFolder(Path("/dev/null/none")), (0, 1, 2, 3))
    describe(job, (), Console(file=(shown := StringIO()), width=200))
    lines = shown.getvalue().splitlines()
    assert "  phase A: 2 clips (0-1), friction 0.1-0.2" in lines
    assert "  phase B: 2 clips (2-3)" in lines


def test_a_plan_tries_the_module_once(monkeypatch):
    tried = []
    monkeypatch.setattr(needs, "NEEDS", (lambda run: tried.append(run),))
    shown = CliRunner().invoke(plan, [str(EXAMPLE / "run.yaml")])
    assert (shown.exit_code, len(tried)) == (0, 1), shown.output


def test_in_a_cluster_renderers_get_the_text_and_encoders_its_hash():
    spec = document(source=SOURCE)
    spec["spec"] |= {"encode": {"weights": {"source": "random"}}, "storage": {"size": "1Gi"}}
    run = parse_run(yaml.safe_dump(spec), "run.yaml")
    made = {each["kind"]: each for each in objects(run)}
    given = json.loads(made["ConfigMap"]["data"]["experiment.json"])
    assert given["module"] == {"sha256": Module.of(SOURCE).sha256, "source": SOURCE}
    (container,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert json.loads(variables[RUN_EXPERIMENT])["module"] == {"sha256": Module.of(SOURCE).sha256}


def test_the_operator_never_runs_a_module(tmp_path):
    """Not even to read its laws: a factor that nothing knows is left to the renderer."""
    ran = tmp_path / "ran"
    spec = document(source=f"open({str(ran)!r}, 'w')\n")
    spec["spec"]["experiment"]["factors"] = {"anything": {"value": 1}}
    objects(parse_run(yaml.safe_dump(spec), "run.yaml"))
    assert not ran.exists()

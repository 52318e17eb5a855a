"""Every mistake in a run file is answered with one line that names the field."""

from pathlib import Path

import pytest
import yaml

from clipfarm.run_file import RunFileError, parse_run, read_run
from clipfarm.weights import Weights
from helpers.bad_runs import BAD, GOOD, put

EXAMPLES = sorted(Path(__file__).parents[3].joinpath("examples").glob("*.yaml"))


@pytest.mark.parametrize(("field", "value", "line"), BAD, ids=[f"{field}={value}" for field, value, _ in BAD])
def test_a_mistake_is_one_line_that_names_the_field(field, value, line):
    document = yaml.safe_load(GOOD)
    put(document, field, value)
    with pytest.raises(RunFileError) as error:
        parse_run(yaml.safe_dump(document), "run.yaml")
    (found,) = error.value.lines
    assert found == f"run.yaml: {line}" or (line.endswith("found") and found.startswith(f"run.yaml: {line} "))


@pytest.mark.parametrize("field", ["clips", "experiment", "encode"])
def test_a_field_that_is_missing_is_named(field):
    document = yaml.safe_load(GOOD)
    del document["spec"][field]
    with pytest.raises(RunFileError) as error:
        parse_run(yaml.safe_dump(document), "run.yaml")
    assert error.value.lines == (f"run.yaml: spec.{field}: missing",)


def test_several_mistakes_are_several_lines():
    with pytest.raises(RunFileError) as error:
        parse_run(GOOD.replace("fps: 30", "fps: 25").replace("seed: 42", "seed: x"), "run.yaml")
    assert [line.split(":")[1] for line in error.value.lines] == [" spec.seed", " spec.experiment.fps"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1, 2", "line 1, column 9: expected ',' or ']', but got '<stream end>'"),
        ("kind: Pod", "found 0 documents of kind BenchmarkRun, expected one"),
        (GOOD + "---" + GOOD, "found 2 documents of kind BenchmarkRun, expected one"),
        (GOOD.replace("fps: 30", "fps: 30\n    fps: 24"), "line 10, column 5: fps is given twice"),
        ("kind: BenchmarkRun\n? [a, b]\n: 3", "line 2, column 3: a key has to be a name"),
        (
            "a: " + "9" * 5000,
            "not YAML: Exceeds the limit (4300 digits) for integer string conversion: value has 5000"
            " digits; use sys.set_int_max_str_digits() to increase the limit",
        ),
        ("a: 2020-13-45", "not YAML: month must be in 1..12"),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("just words", "found 0 documents of kind BenchmarkRun, expected one"),
        ("", "found 0 documents of kind BenchmarkRun, expected one"),
    ],
)
def test_what_is_no_run_is_said_in_one_line(text, line):
    with pytest.raises(RunFileError) as error:
        parse_run(text, "run.yaml")
    assert error.value.lines == (f"run.yaml: {line}",)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RunFileError, match=r"no\.yaml: No such file or directory"):
        read_run(tmp_path / "no.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunFileError, match=r"binary\.yaml: not a text file in UTF-8"):
        read_run(tmp_path / "binary.yaml")


def test_anchors_and_merge_keys_are_yaml_like_any_other():
    text = GOOD.replace("metadata:", "x: &x {seed: 1}\nmetadata:").replace("spec:", "spec:\n  <<: *x")
    with pytest.raises(RunFileError) as error:
        parse_run(text, "run.yaml")
    assert error.value.lines == ("run.yaml: x: unknown field, expected one of apiVersion, kind, metadata, spec",)
    both = GOOD.replace("friction: {min: 0.5, max: 0.9}", "friction: &f {min: 0.5, max: 0.9}", 1)
    merged = both.replace("friction: {min: 0.01, max: 0.15}", "friction: {<<: *f, min: 0.6}")
    friction = parse_run(merged, "run.yaml").spec.experiment.phases[1].friction
    assert (friction.min, friction.max) == (0.6, 0.9)


def test_a_document_that_grows_without_end_by_its_aliases_is_answered_at_once():
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    with pytest.raises(RunFileError):
        parse_run(GOOD + bomb, "run.yaml")
    with pytest.raises(RunFileError, match=r"spec\.seed: found a list of 2, expected a whole number"):
        parse_run(bomb + GOOD.replace("seed: 42", "seed: *a59").strip(), "run.yaml")
    with pytest.raises(RunFileError, match=r"spec\.seed: found a list of 1, expected a whole number"):
        parse_run(GOOD.replace("seed: 42", "seed: &me [*me]"), "run.yaml")


def test_other_documents_of_the_file_are_left_alone():
    assert parse_run(GOOD + "---\nkind: ConfigMap\n", "run.yaml").name == "friction"


def test_values_of_the_command_line_come_before_the_files_and_are_checked_as_they_are():
    run = parse_run(GOOD, "run.yaml", {("spec", "seed"): 7, ("spec", "vram", "enabled"): True})
    assert (run.spec.seed, run.spec.vram.enabled) == (7, True)
    with pytest.raises(RunFileError, match=r"spec.clips.end: found 3, expected start \(5\) or more"):
        parse_run(GOOD, "run.yaml", {("spec", "clips", "start"): 5, ("spec", "clips", "end"): 3})


def test_seed_0_is_a_seed_like_any_other():
    assert parse_run(GOOD.replace("seed: 42", "seed: 0"), "run.yaml").spec.seed == 0


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_good_runs_whose_experiment_the_renderer_reads(path):
    run = read_run(path)
    experiment = run.spec.contract()
    assert experiment.recipe(run.spec.seed, run.spec.clips.end).scene.frames == run.spec.experiment.frames


@pytest.mark.parametrize(
    ("weights", "name", "options"),
    [
        ({"source": "weights/vitl.pt"}, "vitl.pt", []),
        ({"source": "random"}, "random", []),
        (
            {"source": "https://example.org/a/vitl.pt?x=1", "sha256": "0" * 64},
            "vitl.pt",
            ["--weights-sha256", "0" * 64],
        ),
        ({"source": "facebook/vjepa2", "revision": "0" * 40}, "vjepa2", ["--weights-revision", "0" * 40]),
    ],
)
def test_weights_say_how_the_encoder_gets_them_and_what_it_will_call_them(weights, name, options):
    found = Weights.model_validate(weights)
    assert found.name == name
    assert found.options() == ["--weights", weights["source"], "--weights-key", "target_encoder", *options]
    assert found.is_local == (weights["source"] == "weights/vitl.pt")

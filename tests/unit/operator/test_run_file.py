"""Every mistake in a run file is answered with one line that names the field."""

from pathlib import Path

import pytest
import yaml

from clipfarm.run_file import RunFileError, parse_run, read_run
from clipfarm.weights import Weights
from helpers.bad_runs import BAD, GOOD, OF_VIDEOS, put

EXAMPLES = sorted(Path(__file__).parents[3].joinpath("examples").glob("*.yaml"))


@pytest.mark.parametrize(("field", "value", "line"), BAD, ids=[f"{field}={value}" for field, value, _ in BAD])
def test_a_mistake_is_one_line_that_names_the_field(field, value, line):
    document = yaml.safe_load(GOOD)
    put(document, field, value)
    with pytest.raises(RunFileError) as error:
        parse_run(yaml.safe_dump(document), "run.yaml")
    (found,) = error.value.lines
    assert found == f"run.yaml: {line}" or (line.endswith("found") and found.startswith(f"run.yaml: {line} "))


def test_a_run_of_videos_has_neither_experiment_nor_clips():
    spec = read_run(EXAMPLES[0].with_name("videos.yaml")).spec
    assert (spec.experiment, spec.clips) == (None, None)
    videos = spec.source.videos
    assert (videos.in_a_pod, videos.frames, videos.stride, videos.frame_rate) == ("/videos/robot-videos/lab", 16, 8, 8)
    assert parse_run(yaml.safe_dump(yaml.safe_load(GOOD) | {"spec": OF_VIDEOS}), "x").spec.source.videos.in_a_pod == (
        "/clips/lab"
    )


@pytest.mark.parametrize(
    "encode",
    [
        {"enabled": False},
        {"weights": {"source": "random"}, "model": "timm:vit_tiny_patch16_224", "cropSize": 224},
        {
            "weights": {"source": "random"},
            "features": [{"name": "a", "context": "frame"}, {"name": "b", "context": "prefix"}],
        },
    ],
    ids=["not encoded", "a model of single frames", "sets of single time steps"],
)
def test_an_odd_number_of_frames_is_no_matter_where_no_model_takes_them_in_pairs(encode):
    document = yaml.safe_load(GOOD)
    put(document, "spec.experiment.frames", 31)
    put(document, "spec.encode", encode)
    assert parse_run(yaml.safe_dump(document), "run.yaml").spec.contract().recipe(42, 0).picture.frames == 31


@pytest.mark.parametrize("field", ["clips", "encode"])
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
        ("a: [1, 2", "line 2, column 1: did not find expected ',' or ']'"),
        ("kind: Pod", "found 0 documents of kind BenchmarkRun, expected one"),
        (GOOD + "---" + GOOD, "found 2 documents of kind BenchmarkRun, expected one"),
        (GOOD.replace("fps: 30", "fps: 30\n    fps: 24"), "line 10, column 5: fps is given twice"),
        ("kind: BenchmarkRun\n? [a, b]\n: 3", "line 2, column 3: a key has to be a name"),
        ("a: " + "9" * 5000, "found 0 documents of kind BenchmarkRun, expected one"),
        ("a: 2020-13-45", "found 0 documents of kind BenchmarkRun, expected one"),
        ("a: " + "[" * 3000, "line 1, column 104: nested too deeply"),
        ('{"a": ' + "[" * 300_000, "nested too deeply"),
        ("a: .inf", "line 1, column 4: found inf, expected a finite number"),
        ("a: 1\n--- b", "line 2: found '--- b', expected --- on a line of its own"),
        ("a: 1\n---\nb: 1\nb: 2", "line 4, column 1: b is given twice"),
        ('{"a": 1, "a": 2}', "a is given twice"),
        ("a: *b", "line 1, column 4: there is no anchor b above"),
        ("a: &b [*b]", "line 1, column 8: the anchor b holds itself"),
        ("{a: b?}", "line 1, column 5: found 'b?', which needs quotes between brackets"),
        ("{a: 1, <<: &a {a: 2}}", "line 1, column 8: a is given twice, and kubectl takes what << adds to it"),
        ("<<: [{}, 1]", "line 1, column 10: << expects an object, or a list of some"),
        ("# " + "x" * 2**20, "found 1.0 MiB, expected 1.0 MiB or less"),
        ("kind: List\nitems: []", "found 0 documents of kind BenchmarkRun, expected one"),
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


ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}], k{i}: 1}}\n" for i in range(1, 60)
)
UNKNOWN = "".join(f"  k{i}: 1\n" for i in range(60_000))
TOO_MUCH = "run.yaml: found more than 50000 keys and values, expected a run and little else"


@pytest.mark.parametrize(
    "text",
    [
        GOOD + ALIASES,
        ALIASES + GOOD.replace("seed: 42", "seed: *a59").strip(),
        MERGES + GOOD.strip(),
        GOOD.replace("seed: 42", "seed: 42\n" + UNKNOWN.rstrip()),
        '{"spec": {' + ", ".join(f'"k{i}": 1' for i in range(60_000)) + "}}",
        "[" + "x," * 60_000 + "]",
    ],
    ids=["aliases", "aliases in a field", "merge keys", "unknown fields", "JSON", "a list"],
)
def test_a_file_that_holds_or_grows_to_too_much_is_answered_by_one_line(text):
    with pytest.raises(RunFileError) as error:
        parse_run(text, "run.yaml")
    assert error.value.lines == (TOO_MUCH,)


def test_metadata_that_kubectl_refuses_is_refused_with_the_field_that_was_meant():
    with pytest.raises(RunFileError) as error:
        parse_run(GOOD.replace("{name: friction}", "{name: friction, lables: {a: b}}"), "run.yaml")
    assert error.value.lines == ("run.yaml: metadata.lables: unknown field (did you mean labels?)",)


def test_of_many_mistakes_the_first_are_shown():
    unknown = "".join(f"  k{i}: 1\n" for i in range(20_000))
    with pytest.raises(RunFileError) as error:
        parse_run(GOOD.replace("seed: 42", "seed: x\n" + unknown.rstrip()), "run.yaml")
    assert len(error.value.lines) == 21
    assert error.value.lines[0] == 'run.yaml: spec.seed: found "x", expected a whole number'
    assert error.value.lines[-1] == "run.yaml: and 19981 more"


def test_a_value_of_the_command_line_leaves_other_places_alone_that_an_alias_ties_to_it():
    text = GOOD.replace("clips: {start: 0, end: 29}", "clips: &c {start: 0, end: 29}").replace(
        "clips: {start: 10, end: 29}", "clips: {<<: *c, start: 10}"
    )
    one = text[: text.index("    - {name: B")].replace("clips: {start: 0, end: 9}", "clips: *c") + (
        "  encode: {enabled: false}\n  vram:\n"
    )
    run = parse_run(one, "run.yaml", {("spec", "clips", "end"): 3, ("spec", "vram", "enabled"): False})
    assert (run.spec.clips.end, run.spec.experiment.phases[0].clips.end) == (3, 29)
    assert not run.spec.vram.enabled


def test_other_documents_of_the_file_are_left_alone():
    assert parse_run(GOOD + "---\nkind: ConfigMap\n", "run.yaml").name == "friction"


def test_values_of_the_command_line_come_before_the_files_and_are_checked_as_they_are():
    run = parse_run(GOOD, "run.yaml", {("spec", "seed"): 7, ("spec", "vram", "enabled"): True})
    assert (run.spec.seed, run.spec.vram.enabled) == (7, True)
    with pytest.raises(RunFileError, match=r"spec.clips.end: found 3, expected start \(5\) or more"):
        parse_run(GOOD, "run.yaml", {("spec", "clips", "start"): 5, ("spec", "clips", "end"): 3})


def test_seed_0_is_a_seed_like_any_other():
    assert parse_run(GOOD.replace("seed: 42", "seed: 0"), "run.yaml").spec.seed == 0


RENDERED = [path for path in EXAMPLES if path.name != "videos.yaml"]


@pytest.mark.parametrize("path", RENDERED, ids=lambda path: path.name)
def test_the_examples_are_good_runs_whose_experiment_the_renderer_reads(path):
    run = read_run(path)
    experiment = run.spec.contract()
    assert experiment.recipe(run.spec.seed, run.spec.clips.end).picture.frames == run.spec.experiment.frames


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

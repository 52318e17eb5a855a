"""Feature sets on the command line: their files, their sidecars, and each of them on its own."""

import json
import os
import shutil

import numpy as np
import pytest
import safetensors.numpy

from clipfarm_contract.layout import RunFolder
from clipfarm_encode import cli
from unit.encode.made_up import make_clip

pytestmark = pytest.mark.torch

MODEL = "vjepa2_tiny16"
WIDTH = 192
SETS = [
    {},
    {"name": "frames", "context": "frame", "stride": 2, "layers": [2, 4]},
    {"name": "prefixes", "context": "prefix", "window": 2, "dtype": "fp32"},
    {"name": "means", "pool": "space", "cropSize": 48},
]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Thread variables that the command sets stay in the test."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.fixture
def run(tmp_path):
    for i in range(3):
        make_clip(tmp_path / "run", i)
    return RunFolder(tmp_path / "run")


@pytest.fixture
def encode(run, tmp_path, capsys):
    """Run the command on the folder and return exit status, output and errors."""

    def start(*arguments):
        options = ["--data-dir", str(run.root), "--in-place", "--model", MODEL, "--weights", "random"]
        options += ["--crop-size", "32", "--device", "cpu", "--log-json", str(tmp_path / "log.json")]
        return cli.run([*options, *map(str, arguments)]), *capsys.readouterr()

    return start


def features(run):
    return {str(path.relative_to(run.root)): path.read_bytes() for path in sorted(run.root.rglob("feature_maps/*"))}


def sidecar(run, name, index=0):
    return json.loads(run.clip(index).features_sidecar(name).read_text())


def test_each_set_has_its_files_and_says_in_its_sidecar_what_a_time_step_may_know(encode, run):
    code, out, err = encode("--features", json.dumps(SETS))
    assert (code, err) == (0, "")
    assert f"4 feature sets: {MODEL}, frames, prefixes, means" in out
    assert f"{MODEL}: 3 encoded, 0 skipped, 0 failed of 3; frames: 3 encoded" in out
    names = {path.name for path in (run.clip(0).folder / "feature_maps").iterdir()}
    suffixes = {MODEL: "npy", "frames": "safetensors", "prefixes": "npy", "means": "npy"}
    assert names == {f"{name}.{suffix}" for name, kind in suffixes.items() for suffix in (kind, "json")}
    layers = safetensors.numpy.load_file(run.clip(0).features("frames", several=True))
    assert {key: (array.shape, array.dtype) for key, array in layers.items()} == dict.fromkeys(
        ("layer_02", "layer_04"), ((2 * 4, WIDTH), np.float16)
    )
    assert np.load(run.clip(0).features("prefixes")).dtype == np.float32
    assert np.load(run.clip(0).features("means")).shape == (2, WIDTH)
    said = {name: sidecar(run, name) for name in suffixes}
    keys = ("context", "stride", "window", "layers", "norm", "pool", "grid", "frame_of_token", "shape")
    assert {name: tuple(each[key] for key in keys) for name, each in said.items()} == {
        MODEL: ("clip", 2, None, None, "final", "none", [2, 2, 2], [3, 3], [8, WIDTH]),
        "frames": ("frame", 2, None, [2, 4], "final", "none", [2, 2, 2], [0, 2], [8, WIDTH]),
        "prefixes": ("prefix", 2, 2, None, "final", "none", [2, 2, 2], [1, 3], [8, WIDTH]),
        "means": ("clip", 2, None, None, "final", "space", [2, 1, 1], [3, 3], [2, WIDTH]),
    }
    assert {name: each["preprocessing"]["crop"] for name, each in said.items()} == dict.fromkeys(said, 32) | {
        "means": 48
    }
    assert {each["input"]["clip"] for each in said.values()} == {"clip_00000"}


def test_the_default_set_has_the_same_bytes_alone_and_among_others(encode, run):
    encode("--features", json.dumps(SETS))
    among = {name: data for name, data in features(run).items() if f"/{MODEL}." in name}
    for folder in run.root.glob("clip_*/feature_maps"):
        shutil.rmtree(folder)
    encode()
    assert features(run) == among


def test_options_describe_one_set(encode, run):
    options = ("--context", "prefix", "--window", 2, "--dtype", "fp32", "--name", "prefixes")
    code, _, err = encode(*options)
    assert (code, err) == (0, "")
    alone = features(run)
    for folder in run.root.glob("clip_*/feature_maps"):
        shutil.rmtree(folder)
    encode("--features", json.dumps(SETS[2:3]))
    assert features(run) == alone
    assert encode("--layers", "2,4", "--pool", "space", "--name", "layers")[0] == 0
    assert (run.clip(0).folder / "feature_maps" / "layers.safetensors").exists()


def test_sets_are_made_one_by_one_and_what_is_there_stays(encode, run, tmp_path):
    encode("--features", json.dumps(SETS[:1]))
    before = features(run)
    run.clip(1).features(MODEL).unlink()
    code, _, err = encode("--features", json.dumps(SETS))
    assert (code, err) == (0, "")
    assert {name: data for name, data in features(run).items() if name in before} == before
    counts = {each["name"]: each["clips"] for each in json.loads((tmp_path / "log.json").read_text())["sets"]}
    assert (counts[MODEL]["encoded"], counts[MODEL]["skipped"], counts["frames"]["encoded"]) == (1, 2, 3)


def test_a_clip_is_done_when_it_has_every_set_and_failed_if_it_lacks_one(encode, run, tmp_path):
    sets = [{}, {"name": "long", "context": "prefix", "stride": 8}]
    code, out, _ = encode("--features", json.dumps(sets))
    assert code == 1
    assert "long: clip_00000 failed: rgb: 4 frames, expected at least 8" in out
    document = json.loads((tmp_path / "log.json").read_text())
    assert document["clips"] == {"found": 3, "waiting": 0, "encoding": 0, "encoded": 0, "skipped": 0, "failed": 3}
    assert document["failures"][0] == {"clip": "clip_00000", "reason": "long: rgb: 4 frames, expected at least 8"}
    counts = {each["name"]: (each["clips"]["encoded"], each["clips"]["failed"]) for each in document["sets"]}
    assert counts == {MODEL: (3, 0), "long": (0, 3)}


def test_one_layer_more_is_another_set_which_replaces_the_first_only_if_asked(encode, run):
    encode("--layers", "2", "--name", "s")
    code, _, err = encode("--layers", "2,4", "--name", "s")
    assert (code, err.partition(";")[0]) == (
        2,
        "clipfarm-encode: clip_00000 has features already, made with layers [2] instead of [2, 4] (and 2 more clips)",
    )
    assert encode("--layers", "2,4", "--name", "s", "--overwrite")[0] == 0
    assert sorted(features(run)) == sorted(f"clip_0000{i}/feature_maps/s.{x}" for i in range(3) for x in SUFFIXES)


SUFFIXES = ("json", "safetensors")


def test_a_list_of_sets_may_be_a_file(encode, run, tmp_path):
    (tmp_path / "sets.json").write_text(json.dumps(SETS[:2]))
    assert encode("--features", tmp_path / "sets.json")[0] == 0
    assert (run.clip(0).folder / "feature_maps" / "frames.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--context", "frame"), "--name: missing, expected a name for features that are not the model's default ones"),
        (("--context", "frame", "--window", "2", "--name", "s"), "--window: expected only with context prefix"),
        (("--stride", "2", "--name", "s"), "--stride: expected only with context frame or prefix"),
        (
            ("--context", "prefix", "--stride", "3", "--name", "s"),
            "stride: found 3, expected a multiple of 2, the frames of the model's time step",
        ),
        (("--layers", "2,x", "--name", "s"), "--layers: found 2,x, expected numbers as 8,16,24"),
        (("--layers", "2,5", "--name", "s"), "layers: found 5, expected 1 to 4, the model's"),
        (("--layers", "4,2", "--name", "s"), "--layers: found [4, 2], expected ascending numbers"),
        (("--name", "../up"), '--name: found "../up", expected at most 128 letters'),
        (("--features", "[{}]", "--pool", "space"), "--pool: expected without --features, whose entries say it"),
        (("--features", '[{"name": "a"}, {"name": "a"}]'), '--features: two sets have the name "a", expected one name'),
        (("--features", '[{"name": "a", "layer": [1]}]'), "--features[0].layer: unknown field"),
        (("--features", "[{]"), "--features: not JSON (Expecting"),
        (("--features", "nowhere.json"), "--features: nowhere.json: No such file or directory"),
        (
            ("--features", '[{}, {"name": "a", "layers": [9]}]'),
            "a: layers: found 9, expected 1 to 4, the model's",
        ),
    ],
)
def test_a_set_that_cannot_be_made_is_refused_before_the_first_clip(encode, run, arguments, message):
    code, _, err = encode(*arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"clipfarm-encode: {message}")
    assert features(run) == {}

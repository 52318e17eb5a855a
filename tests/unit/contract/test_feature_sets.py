"""What a set of features is: its rules, the frames that each time step may know, and its files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from clipfarm_contract.extraction import Extraction, layer_key
from clipfarm_contract.feature_sets import FeatureSet, WeightsSource
from clipfarm_contract.features import State, Wanted, inspect
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip
from clipfarm_contract.safetensors import read_heads

DEFAULT = FeatureSet("vjepa2_vitl16", "vjepa2_vitl16", WeightsSource("vitl.pt"))


@pytest.mark.parametrize(
    ("extraction", "frames", "step", "lasts"),
    [
        (Extraction(), 8, 2, [7, 7, 7, 7]),
        (Extraction("frame"), 4, 2, [0, 1, 2, 3]),
        (Extraction("frame", stride=2), 8, 2, [0, 2, 4, 6]),
        (Extraction("frame", stride=3), 8, 2, [0, 3, 6]),
        (Extraction("prefix"), 8, 2, [1, 3, 5, 7]),
        (Extraction("prefix", window=2), 8, 2, [1, 3, 5, 7]),
        (Extraction("prefix", stride=4), 8, 2, [3, 7]),
        (Extraction("prefix", stride=6), 8, 2, [5]),
        (Extraction("prefix"), 3, 1, [0, 1, 2]),
        (Extraction("prefix", stride=10), 8, 2, []),
    ],
)
def test_each_time_step_knows_frames_up_to_its_last(extraction, frames, step, lasts):
    assert extraction.last_frames(frames, step) == lasts


def test_of_a_model_that_sees_frames_alone_no_context_knows_more_than_a_frame():
    for context in ("clip", "frame", "prefix"):
        assert Extraction(context).last_frames(4, 1, across_time=False) == [0, 1, 2, 3]


def test_an_entry_takes_from_the_default_what_it_leaves_out():
    entry = {"name": "small", "context": "prefix", "window": 4, "layers": [2, 4], "dtype": "fp32"}
    made = FeatureSet.parse(entry, "features[0]", DEFAULT)
    assert made == FeatureSet(
        "small", "vjepa2_vitl16", WeightsSource("vitl.pt"), 256, "fp32", Extraction("prefix", None, 4, (2, 4))
    )
    assert FeatureSet.parse({}, "features[0]", DEFAULT) == DEFAULT
    nulls = {"name": None, "weights": None, "window": None, "layers": None}
    assert FeatureSet.parse(nulls, "features[0]", DEFAULT) == DEFAULT
    assert FeatureSet.parse(made.to_json(), "features[0]", DEFAULT) == made


def test_a_set_without_a_name_has_its_models():
    assert FeatureSet.parse({"model": "timm:vit_tiny.x"}, "-", DEFAULT).name == "timm_vit_tiny.x"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "../up"}, """f.name: found "../up", expected at most 128 letters, digits"""),
        ({"name": ".hidden"}, """f.name: found ".hidden", expected"""),
        ({"name": "a" * 129}, "f.name: found"),
        ({"model": "facebook/vjepa2"}, 'f.model: found "facebook/vjepa2", expected a name as vjepa2_vitl16'),
        ({"context": "future"}, 'f.context: found "future", expected one of clip, frame, prefix'),
        ({"pool": "time"}, 'f.pool: found "time", expected one of none, space'),
        ({"stride": 2}, "f.stride: expected only with context frame or prefix"),
        ({"context": "frame", "stride": 0}, "f.stride: found 0, expected 1 to 10000"),
        ({"context": "frame", "window": 2}, "f.window: expected only with context prefix"),
        ({"window": True}, "f.window: found true, expected a whole number"),
        ({"layers": [4, 2]}, "f.layers: found [4, 2], expected ascending numbers"),
        ({"layers": [2, 2]}, "f.layers: found [2, 2], expected ascending numbers"),
        ({"layers": [0]}, "f.layers[0]: found 0, expected 1 to 64"),
        ({"layers": ["8"]}, 'f.layers[0]: found "8", expected 1 to 64'),
        ({"weights": {"file": "x"}}, "f.weights.source: missing, expected a string"),
        ({"weights": {"source": "x", "file": "x"}}, "f.weights.file: unknown field"),
        ({"cropSize": 9999}, "f.cropSize: found 9999, expected 1 to 1024"),
        ({"crop": 256}, "f.crop: unknown field"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused_with_its_field(entry, message):
    with pytest.raises(ContractError) as error:
        FeatureSet.parse(entry, "f", DEFAULT)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("value", [[], {}, "vjepa2", [{}] * 17])
def test_a_list_has_between_1_and_16_sets(value):
    with pytest.raises(ContractError, match="expected a list of 1 to 16 feature sets"):
        FeatureSet.parse_all(value, "features", DEFAULT)


def test_two_sets_have_two_names():
    with pytest.raises(ContractError, match='features: two sets have the name "vjepa2_vitl16"'):
        FeatureSet.parse_all([{}, {"pool": "space"}], "features", DEFAULT)


@pytest.mark.parametrize(
    ("extraction", "problem"),
    [
        (
            Extraction("prefix", stride=3),
            "stride: found 3, expected a multiple of 2, the frames of the model's time step",
        ),
        (Extraction("frame", stride=3), None),
        (Extraction(layers=(4, 24)), None),
        (Extraction(layers=(4, 25)), "layers: found 25, expected 1 to 24, the model's"),
    ],
)
def test_what_a_model_cannot_do_is_said(extraction, problem):
    assert extraction.unfit(2, 24) == problem


@pytest.mark.parametrize(
    ("model", "extraction", "frames", "problem"),
    [
        ("vjepa2_vitl16", Extraction("prefix", stride=10), 8, "stride: found 10, expected 8 or less, the frames of a"),
        ("vjepa2_vitl16", Extraction("prefix", stride=8), 8, None),
        ("vjepa2_vitl16", Extraction("prefix", window=10), 8, None),  # all since the first frame
        ("vjepa2_vitl16", Extraction("frame", stride=10), 8, None),  # the first frame
        ("timm:vit_small_patch14_dinov2", Extraction("prefix", stride=10), 8, None),  # which sees each frame alone
    ],
)
def test_a_stride_after_whose_first_step_the_clip_has_ended_is_refused(model, extraction, frames, problem):
    found = replace(DEFAULT, model=model, extraction=extraction).overlong(frames)
    assert (found or "").startswith(problem or "")
    assert (found is None) == (problem is None)
    steps = extraction.last_frames(frames, 2, across_time=not model.startswith("timm"))
    assert (steps == []) == (problem is not None), "as the encoder sees it"


@pytest.mark.parametrize(
    ("extraction", "frames", "problem"),
    [
        (Extraction(), 5, "found 5, expected a multiple of 2, the frames that vjepa2_vitl16 takes at a time"),
        (Extraction("prefix"), 1, "found 1, expected 2 or more, the frames that vjepa2_vitl16 takes at a time"),
        (Extraction("prefix"), 5, None),
        (Extraction("frame"), 1, None),
    ],
)
def test_frames_that_a_model_cannot_take_are_said(extraction, frames, problem):
    assert replace(DEFAULT, model="vjepa2_vitl16", extraction=extraction).uncut(frames) == problem


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "clip_00000" / "feature_maps").mkdir(parents=True)
    return Clip(tmp_path / "clip_00000")


WANTED = Wanted("m", "float16", 32, name="s", extraction=Extraction("prefix", None, 4, (8, 16)))
SIDECAR = {"model": "m", "dtype": "float16", "preprocessing": {"crop": 32}, "shape": [8, 3]}
SIDECAR |= {"context": "prefix", "stride": 2, "window": 4, "layers": [8, 16], "pool": "none", "step": 2}


def give(clip, sidecar=SIDECAR, keys=("layer_08", "layer_16"), shape=(8, 3), dtype=np.float16):
    arrays = {key: np.zeros(shape, dtype) for key in keys}
    safetensors.numpy.save_file(arrays, WANTED.path(clip))
    WANTED.sidecar(clip).write_text(json.dumps(sidecar))


def test_several_layers_are_found_in_their_file(clip):
    assert inspect(clip, WANTED) == (State.ABSENT, "")
    give(clip)
    assert WANTED.path(clip).name == "s.safetensors"
    assert inspect(clip, WANTED) == (State.DONE, "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"context": "frame"}, "made with context frame instead of prefix"),
        ({"window": None}, "made with window none instead of 4"),
        ({"layers": None}, "made with layers none instead of [8, 16]"),
        ({"pool": "space"}, "made with pool space instead of none"),
        ({"stride": 4}, "made with stride 4 instead of 2"),
    ],
)
def test_features_made_otherwise_are_not_the_wanted_ones(clip, changes, reason):
    give(clip, SIDECAR | changes)
    assert inspect(clip, WANTED) == (State.OTHER, reason)


@pytest.mark.parametrize(
    "damage", [{"keys": ("layer_08",)}, {"keys": ("layer_08", "layer_24")}, {"shape": (8, 4)}, {"dtype": np.float32}]
)
def test_arrays_that_their_sidecar_does_not_describe_are_to_be_made_again(clip, damage):
    give(clip, **damage)
    assert inspect(clip, WANTED)[0] is State.ABSENT


def test_one_array_in_the_place_of_several_is_another_set(clip):
    single = Wanted("m", "float16", 32, name="s")
    np.save(single.path(clip), np.zeros((8, 3), np.float16))
    plain = {"model": "m", "dtype": "float16", "preprocessing": {"crop": 32}, "shape": [8, 3]}
    single.sidecar(clip).write_text(json.dumps(plain))
    assert inspect(clip, single) == (State.DONE, "")
    assert inspect(clip, WANTED) == (State.OTHER, "made with context clip instead of prefix")
    assert inspect(clip, Wanted("m", "float16", 32, name="t")) == (State.ABSENT, "")


def test_sidecars_of_before_have_the_default_set(clip):
    wanted = Wanted("m", "float16", 32)
    assert wanted.path(clip).name == "m.npy"
    assert wanted.difference(plain := {"model": "m", "dtype": "float16", "preprocessing": {"crop": 32}}) is None
    assert wanted.difference(plain | {"context": "frame"}) == "made with context frame instead of clip"


@pytest.mark.parametrize("keep", [0, 7, 30, -1])
def test_a_file_that_was_cut_short_is_no_safetensors_file(clip, keep):
    give(clip)
    path = WANTED.path(clip)
    assert read_heads(path)[layer_key(8)].shape == (8, 3)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ContractError):
        read_heads(path)
    assert inspect(clip, WANTED) == (State.ABSENT, "")


@pytest.mark.parametrize(
    "head",
    [
        b"[]",
        b"{",
        b'{"a": 1}',
        b'{"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F16", "shape": [-1], "data_offsets": [0, 2]}}',
        b'{"a": {"dtype": "F16", "shape": [1], "data_offsets": [2, 4]}}',
        b'{"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 2]}}',
        b'{"a": {"dtype": "F16", "shape": [1], "data_offsets": []}}',
    ],
)
def test_a_head_that_another_program_wrote_is_refused(clip, head):
    path = WANTED.path(clip)
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"\0\0")
    with pytest.raises(ContractError):
        read_heads(path)

"""A data set of an export is that of its run, array by array."""

import json
import pickle

import numpy as np
import pytest

from clipfarm.data import ClipDataset, DataError
from helpers.exports import export
from helpers.run_folder import FEATURES, give_features, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("run") / "clips", features=True)
    for index in run.clips():
        give_features(run.clip(index), name="second", width=3)
    return run


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    place = tmp_path_factory.mktemp("export") / "hf"
    done = export(run.root, place, "--features", FEATURES, "--features", "second", "--previews", 0)
    assert done.exit_code == 0, done.stderr
    return place


def same(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert list(left) == list(right)
        assert left["clip_name"] == right["clip_name"]
        for name in ("features", "actions", "states"):
            assert left[name].dtype == right[name].dtype
            assert np.array_equal(left[name], right[name])


@pytest.mark.parametrize("how", [{}, {"window": 3, "step": 2}, {"split": "slippery floor"}])
def test_an_export_gives_the_items_of_its_run(run, exported, how):
    same(ClipDataset(run.root, FEATURES, **how), ClipDataset(exported, FEATURES, **how))


def test_states_of_several_bodies_have_the_shape_that_the_run_has(tmp_path):
    run = make_run(tmp_path / "run", 2, features=True, bodies=2)
    assert export(run.root, tmp_path / "out", "--features", FEATURES, "--previews", 0).exit_code == 0
    for how in ({}, {"window": 2}):
        same(ClipDataset(run.root, FEATURES, **how), ClipDataset(tmp_path / "out", FEATURES, **how))
    assert ClipDataset(tmp_path / "out", FEATURES)[0]["states"].shape == (18, 2, 13)


def test_a_split_has_the_name_of_the_export_too(exported):
    assert len(ClipDataset(exported, "second", split="slippery_floor")) == 3


def test_what_an_item_holds_belongs_to_the_caller(exported):
    clips = ClipDataset(exported, FEATURES)
    clips[0]["states"][:] = -1
    assert (clips[0]["states"] != -1).any()


def test_it_can_be_sent_to_other_processes(exported):
    clips = ClipDataset(exported, FEATURES)
    same(pickle.loads(pickle.dumps(clips)), clips)


def test_what_an_export_lacks_is_said_in_one_line(run, exported, tmp_path):
    with pytest.raises(DataError, match=r"found several feature sets, name one: second, vjepa2_tiny16$"):
        ClipDataset(exported)
    with pytest.raises(DataError, match=r"no clip can be read; clip_00000: no features third in this export$"):
        ClipDataset(exported, "third")
    tars = tmp_path / "tars"
    assert export(run.root, tars, "--previews", 0, form="webdataset").exit_code == 0
    with pytest.raises(DataError, match=r"found an export as webdataset, expected one with --format hf, or the run$"):
        ClipDataset(tars)


def test_a_damaged_export_is_named(exported, tmp_path):
    (tmp_path / "export.json").write_text(json.dumps({"format": "hf"}))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "A1-00000-of-00001.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=f"{tmp_path}: a damaged export: "):
        ClipDataset(tmp_path)

"""From an export of each format back to the folder of a clip."""

import numpy as np
import pytest
from PIL import Image

from clipfarm_contract.layout import RunFolder
from clipfarm_export.errors import ExportError
from clipfarm_export.restore import indexes, restore
from helpers.exports import export
from helpers.run_folder import FRAMES, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run") / "clips", 4, layers=["rgb", "depth", "segmentation"])


@pytest.mark.parametrize(
    ("form", "arguments", "layers"),
    [
        pytest.param("hf", ["--layers", "depth,segmentation"], ["depth", "segmentation"], id="hf"),
        pytest.param("hf", ["--video", "png"], [], id="hf, pictures"),
        pytest.param("webdataset", ["--layers", "depth"], ["depth"], id="webdataset"),
        pytest.param("webdataset", ["--video", "png"], [], id="webdataset, pictures"),
        pytest.param("lerobot", [], [], id="lerobot"),
    ],
)
def test_a_clip_comes_back_with_its_records_and_every_value(run, tmp_path, form, arguments, layers):
    place = tmp_path / "out"
    assert export(run.root, place, *arguments, form=form).exit_code == 0
    assert indexes(place) == [0, 1, 2, 3]
    for index in (1, 3):
        ours, found = run.clip(index), restore(place, index, RunFolder(tmp_path / "back"))
        assert found.manifest.read_bytes() == ours.manifest.read_bytes()
        assert found.ground_truth.read_bytes() == ours.ground_truth.read_bytes()
        assert found.actions.read_bytes() == ours.actions.read_bytes()
        assert found.states.read_bytes() == ours.states.read_bytes()
        for layer in ("rgb", *layers):
            for i in range(FRAMES):
                assert np.array_equal(values(found.layer(layer, i)), values(ours.layer(layer, i)))


@pytest.mark.parametrize("form", ["hf", "webdataset", "lerobot"])
def test_the_states_of_several_bodies_come_back_in_their_shape(tmp_path, form):
    run = make_run(tmp_path / "run", 2, bodies=3)
    assert export(run.root, tmp_path / "out", form=form).exit_code == 0
    found = restore(tmp_path / "out", 1, RunFolder(tmp_path / "back"))
    assert found.states.read_bytes() == run.clip(1).states.read_bytes()
    assert np.load(found.states).shape == (FRAMES, 3, 13)


def test_a_clip_that_is_not_there_and_a_folder_that_is_no_export_are_named(run, tmp_path):
    assert export(run.root, tmp_path / "out").exit_code == 0
    with pytest.raises(ExportError, match="has no clip 9"):
        restore(tmp_path / "out", 9, RunFolder(tmp_path / "back"))
    with pytest.raises(ExportError, match="not a complete export"):
        restore(run.root, 1, RunFolder(tmp_path / "back"))


def values(path):
    return np.asarray(Image.open(path)) if path.suffix == ".png" else np.load(path)

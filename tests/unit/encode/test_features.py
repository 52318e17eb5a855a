import dataclasses
import json

import numpy as np
import pytest

from clipfarm_contract.features import State
from clipfarm_contract.layout import Clip
from clipfarm_encode.files import features
from clipfarm_encode.files.features import all_finite, inspect, save
from clipfarm_encode.files.recipe import Encoded, Recipe

RECIPE = Recipe(
    model="vjepa2_vitl16",
    weights={"source": "vitl.pt", "sha256": "ab" * 32, "key": "target_encoder"},
    dtype="float16",
    preprocessing={"resize": 292, "crop": 256},
    compute="float32",
)
OF = Encoded("clip_00000", 4, "ef" * 32, 2, 2)
ARRAY = np.arange(24, dtype=np.float16).reshape(8, 3)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    ("value", "finite"),
    [
        ("inf", False),
        ("-inf", False),
        ("nan", False),
        ("-nan", False),
        ("largest", True),
        ("-largest", True),
        ("-0", True),
    ],
)
def test_a_value_that_is_not_finite_is_found_wherever_it_is(dtype, value, finite):
    number = np.finfo(dtype).max if value.endswith("largest") else np.dtype(dtype).type(value.removeprefix("-"))
    for row, column in ((0, 0), (3, 1), (7, 2)):
        array = ARRAY.astype(dtype) - 7
        array[row, column] = np.copysign(number, -1 if value.startswith("-") else 1)
        assert all_finite(array) is np.isfinite(array).all().item() is finite


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "clip_00000").mkdir()
    return Clip(tmp_path / "clip_00000")


def test_what_was_saved_is_done_and_reads_back(clip):
    save((ARRAY,), OF, clip, RECIPE)
    assert inspect(clip, RECIPE) == (State.DONE, "")
    found = np.load(clip.features("vjepa2_vitl16"))
    assert found.dtype == np.float16
    assert (found == ARRAY).all()


def test_the_sidecar_says_how_the_array_was_made(clip):
    save((ARRAY,), OF, clip, RECIPE)
    sidecar = json.loads(clip.features_sidecar("vjepa2_vitl16").read_text())
    assert sidecar["shape"] == [8, 3]
    assert sidecar["frames"] == 4
    assert sidecar["weights"]["key"] == "target_encoder"
    assert sidecar["preprocessing"] == {"resize": 292, "crop": 256}


OTHERWISE = {
    "weights": (
        {"weights": RECIPE.weights | {"sha256": "cd" * 32}},
        "made with weights.sha256 abababab",
    ),
    "key": (
        {"weights": RECIPE.weights | {"key": "encoder"}},
        "made with weights.key target_encoder instead of",
    ),
    "dtype": ({"dtype": "float32"}, "made with dtype float16 instead of float32"),
    "crop": ({"preprocessing": {"resize": 146, "crop": 128}}, "made with preprocessing.crop 256 instead of 128"),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_features_made_otherwise_are_told_by_what_differs(clip, case):
    changes, message = OTHERWISE[case]
    save((ARRAY,), OF, clip, RECIPE)
    state, reason = inspect(clip, dataclasses.replace(RECIPE, **changes))
    assert state is State.OTHER
    assert reason.startswith(message)


def test_the_device_and_the_name_of_the_weights_file_are_no_reason_to_encode_again(clip):
    save((ARRAY,), OF, clip, RECIPE)
    renamed = RECIPE.weights | {"source": "copy.pt"}
    assert inspect(clip, dataclasses.replace(RECIPE, compute="bfloat16", weights=renamed))[0] is State.DONE


def test_features_of_another_program_are_not_taken_for_ours(clip):
    save((ARRAY,), OF, clip, RECIPE)
    clip.features_sidecar("vjepa2_vitl16").unlink()
    state, reason = inspect(clip, RECIPE)
    assert state is State.OTHER
    assert "has no vjepa2_vitl16.json" in reason


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_an_array_that_was_cut_short_is_to_be_made_again(clip, keep):
    save((ARRAY,), OF, clip, RECIPE)
    path = clip.features("vjepa2_vitl16")
    path.write_bytes(path.read_bytes()[:keep])
    assert inspect(clip, RECIPE)[0] is State.ABSENT


def test_an_array_never_stands_beside_the_sidecar_of_another(clip, monkeypatch):
    save((ARRAY,), OF, clip, RECIPE)
    other = dataclasses.replace(RECIPE, dtype="float32")

    def killed(temporary, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(features, "place", killed)
    with pytest.raises(KeyboardInterrupt):
        save((ARRAY.astype(np.float32),), OF, clip, other)
    assert json.loads(clip.features_sidecar("vjepa2_vitl16").read_text())["dtype"] == "float32"
    assert inspect(clip, RECIPE)[0] is inspect(clip, other)[0] is State.ABSENT


def test_what_a_killed_writer_left_is_removed(clip):
    folder = clip.folder / "feature_maps"
    folder.mkdir()
    for name in (".vjepa2_vitl16.npy.0123abcd", ".vjepa2_vitl16.json.0123abcd"):
        (folder / name).write_text("half")
    save((ARRAY,), OF, clip, RECIPE)
    assert sorted(path.name for path in folder.iterdir()) == ["vjepa2_vitl16.json", "vjepa2_vitl16.npy"]


def test_a_clip_that_is_gone_does_not_come_back_as_an_empty_folder(clip):
    clip.folder.rmdir()
    with pytest.raises(FileNotFoundError):
        save((ARRAY,), OF, clip, RECIPE)
    assert not clip.folder.exists()


def test_features_of_frames_that_were_there_before_are_replaced_in_a_folder_of_their_own(clip, tmp_path, monkeypatch):
    """There is no clip.json in that folder: what the features are of is known from the clip alone."""
    apart = Clip(tmp_path / "features" / clip.folder.name)
    apart.folder.mkdir(parents=True)
    save((ARRAY,), Encoded("clip_00000", 4, "0" * 64, 2, 2), apart, RECIPE, source=clip)
    of = Encoded("clip_00000", 4, "1" * 64, 2, 2)
    monkeypatch.setattr("clipfarm_contract.features.input_difference", lambda head, made, looked_at: (
        "made of other frames than the clip has now"
        if looked_at.folder == clip.folder and made["input"]["sha256"] != of.sha256 else None
    ))  # fmt: skip
    assert inspect(apart, RECIPE, clip)[0] is State.OTHER
    assert save((ARRAY + 1,), of, apart, RECIPE, source=clip)
    assert inspect(apart, RECIPE, clip) == (State.DONE, "")
    assert not save((ARRAY,), of, apart, RECIPE, source=clip)

from pathlib import Path

import pytest

from clipfarm_contract.layout import RunFolder, clip_index, clip_name, is_attempt


@pytest.mark.parametrize(("index", "name"), [(0, "clip_00000"), (42, "clip_00042"), (123456, "clip_123456")])
def test_a_clips_name_has_at_least_five_digits_and_is_read_back(index, name):
    assert (clip_name(index), clip_index(name)) == (name, index)


@pytest.mark.parametrize("name", ["clip_42", "clip_000042", "clip_0004x", "clip_", "Clip_00042", ".clip_00042.a1"])
def test_other_names_are_no_clips(name):
    assert clip_index(name) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [(".clip_00042.1f3a", True), (".clip_00042.discarded-1f3a", True), ("clip_00042", False), (".clip_00042", False)],
)
def test_attempts_are_told_by_their_name(name, expected):
    assert is_attempt(name) is expected


def test_the_layout_that_training_code_reads(tmp_path):
    clip = RunFolder(Path("/data")).clip(42)
    assert str(clip.frame(3)) == "/data/clip_00042/rgb/frame_00003.png"
    assert str(clip.actions) == "/data/clip_00042/actions_states/actions.npy"
    assert str(clip.states) == "/data/clip_00042/actions_states/ground_truth_states.npy"
    assert str(clip.features("vjepa2_vitl16")) == "/data/clip_00042/feature_maps/vjepa2_vitl16.npy"
    assert RunFolder(tmp_path / "none").clips() == RunFolder(tmp_path / "none").attempts() == []


def test_the_runs_own_files_lie_apart_from_its_clips():
    run = RunFolder(Path("/data"))
    assert str(run.claims("vjepa2_vitl16")) == "/data/.clipfarm/claims/vjepa2_vitl16"
    assert run.claims("vjepa2_vitl16") != run.claims("vjepa2_vith16"), "two models encode the same clips"
    assert [str(run.encode_log(number)) for number in range(3)] == [
        "/data/.clipfarm/encode.json",
        "/data/.clipfarm/encode-1.json",
        "/data/.clipfarm/encode-2.json",
    ]
    assert str(run.all_rendered) == "/data/.clipfarm/all-rendered"
    assert not any(clip_index(path.name) for path in (run.state, run.claims("m"), run.all_rendered))


def test_claims_of_a_model_are_no_clips_and_no_attempts_of_the_run(tmp_path):
    run = RunFolder(tmp_path)
    claims = run.claims("vjepa2_vitl16")
    claims.mkdir(parents=True)
    (claims / "clip_00000.0").touch()
    run.clip(7).folder.mkdir()
    assert run.clips() == [7]
    assert run.attempts() == []

"""Blender renders, the encoder works beside it, and the same run gives the same bytes."""

import hashlib
import json
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from helpers.local import CLIPFARM, clipfarm, descendants, end, gone, wait_until
from helpers.runs import document

pytestmark = [pytest.mark.blender, pytest.mark.torch]
CLIPS, FRAMES = 3, 4


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    made = document(
        CLIPS,
        seed=42,
        encode={"model": "vjepa2_tiny16", "weights": {"source": "random"}, "batchSize": 2, "cropSize": 64},
    )
    made["spec"]["experiment"] |= {"frames": FRAMES, "resolution": 64, "samplesPerPixel": 2}
    path = tmp_path_factory.mktemp("run") / "run.yaml"
    path.write_text(yaml.safe_dump(made))
    return path


@pytest.fixture(scope="module")
def reference(run_file, tmp_path_factory):
    """The run with one worker, undisturbed."""
    output = tmp_path_factory.mktemp("reference") / "clips"
    ran = clipfarm("local", run_file, "--output", output, "--workers", 1)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return output


def hashes(output: Path) -> dict[str, str]:
    """Return the hash of every file of every clip."""
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for clip in sorted(output.glob("clip_*"))
        for path in sorted(clip.rglob("*"))
        if path.is_file()
    }


def start(run_file, output):
    return subprocess.Popen(
        [*CLIPFARM, "local", str(run_file), "--output", str(output), "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_run_leaves_every_file_that_training_reads(reference):
    names = {name.partition("/")[2] for name in hashes(reference)}
    frames = {f"rgb/frame_{i:05d}.png" for i in range(FRAMES)}
    assert names == frames | {
        "actions_states/actions.npy",
        "actions_states/ground_truth_states.npy",
        "clip.json",
        "feature_maps/vjepa2_tiny16.json",
        "feature_maps/vjepa2_tiny16.npy",
        "ground_truth.json",
        "preview.gif",
    }
    for clip in range(CLIPS):
        folder = reference / f"clip_{clip:05d}"
        features = np.load(folder / "feature_maps" / "vjepa2_tiny16.npy")
        assert (features.shape, features.dtype) == ((FRAMES // 2 * 16, 192), np.float16)
        for name in ("actions", "ground_truth_states"):
            values = np.load(folder / "actions_states" / f"{name}.npy")
            assert (values.shape, values.dtype) == ((FRAMES, 2), np.float32)


def read_as_the_study_does(folder: Path, name: str, tokens: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features (T, N, D), the action, and states, as a predictor's data loader takes them from the files."""
    features = np.load(folder / "feature_maps" / f"{name}.npy").astype(np.float32)  # [T*N, D]
    action = np.load(folder / "actions_states" / "actions.npy")[1]
    states = np.load(folder / "actions_states" / "ground_truth_states.npy")
    return features.reshape(-1, tokens, features.shape[1]), action, states


def test_a_predictors_loader_reads_the_default_set_and_a_frame_set_that_is_added_later(run_file, reference, tmp_path):
    output, more = tmp_path / "clips", tmp_path / "more.yaml"
    shutil.copytree(reference, output)
    made = yaml.safe_load(run_file.read_text())
    made["spec"]["encode"]["features"] = [
        {"name": "vjepa2_tiny16"}, {"name": "frames", "context": "frame", "stride": 2},
    ]  # fmt: skip
    more.write_text(yaml.safe_dump(made))
    ran = clipfarm("local", more, "--output", output)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for clip in range(CLIPS):
        whole, action, states = read_as_the_study_does(output / f"clip_{clip:05d}", "vjepa2_tiny16", 16)
        single, _, _ = read_as_the_study_does(output / f"clip_{clip:05d}", "frames", 16)
        assert whole.shape == single.shape == (FRAMES // 2, 16, 192)
        assert not np.array_equal(whole, single)
        assert np.linalg.norm(action) > 0
        assert states.shape == (FRAMES, 2)
    before, after = hashes(reference), hashes(output)
    assert before.items() <= after.items(), "the clips and their default features keep their bytes"


def test_the_report_tells_where_the_time_went(reference):
    report = json.loads((reference / "report.json").read_text())
    assert report["clips"] == {"total": 3, "rendered": 3, "completeBefore": 0, "encoded": 3, "failed": 0}
    assert set(report["secondsPerClip"]) == {"import", "simulate", "background", "render", "save", "total"}
    assert all(summary["max"] > 0 for summary in report["secondsPerClip"].values())
    assert report["encode"]["weights"]["source"] == "random"
    assert report["versions"]["bpy"] == "4.2.23"
    assert report["machine"]["cpus"] >= 1


def test_every_hash_holds_and_a_clip_made_again_has_the_same_bytes(reference):
    ran = clipfarm("verify", reference, "--rerender", 1)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.splitlines() == [
        "checked 3 clips and 3 feature files: no problems",
        "clip 0, made again: every byte is the same",
    ]


def test_two_workers_interrupted_and_killed_give_the_bytes_of_one_undisturbed(run_file, reference, tmp_path):
    output = tmp_path / "clips"
    process = start(run_file, output)
    wait_until(lambda: len(list(output.glob(".clip_*/rgb/*.png"))) >= 1, "frames of a clip that is not complete")
    status, printed, seconds = end(process, signal.SIGINT)
    assert (status, seconds < 5) == (130, True), printed
    process = start(run_file, output)
    wait_until(lambda: len(list(output.glob("clip_*/clip.json"))) >= 1, "a complete clip")
    family = descendants(process.pid)
    process.kill()
    process.communicate()
    wait_until(lambda: gone(family), "renderers and encoder to end by themselves", limit=15)
    ran = clipfarm("local", run_file, "--output", output, "--workers", 2)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert hashes(output) == hashes(reference)


def test_features_of_other_weights_are_neither_counted_nor_mixed(run_file, reference, tmp_path):
    other = yaml.safe_load(run_file.read_text())
    other["spec"]["encode"]["dtype"] = "fp32"
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(other))
    ran = clipfarm("local", path, "--output", reference)
    assert ran.returncode == 2
    assert "vjepa2_tiny16.npy: made with dtype float16 instead of float32" in ran.stderr


def test_features_of_another_file_of_the_same_name_are_found_out_by_the_encoder(run_file, reference, tmp_path):
    output = tmp_path / "clips"
    subprocess.run(["cp", "-r", reference, output], check=True)
    sidecar = output / "clip_00002" / "feature_maps" / "vjepa2_tiny16.json"
    made = json.loads(sidecar.read_text())
    made["weights"]["sha256"] = "0" * 64
    sidecar.write_text(json.dumps(made))
    ran = clipfarm("local", run_file, "--output", output)
    assert ran.returncode == 1, ran.stdout
    assert "the encoder ended with 2" in ran.stdout
    assert "clip_00002 has features already, made with weights.sha256 000000000000..." in ran.stdout


def test_features_that_were_cut_short_are_made_again(run_file, reference, tmp_path):
    output = tmp_path / "clips"
    subprocess.run(["cp", "-r", reference, output], check=True)
    features = output / "clip_00002" / "feature_maps" / "vjepa2_tiny16.npy"
    features.write_bytes(features.read_bytes()[:-64])
    ran = clipfarm("local", run_file, "--output", output)
    assert ran.returncode == 0, ran.stdout
    assert hashes(output) == hashes(reference)


def test_clips_that_were_not_asked_for_are_not_encoded_either(run_file, reference, tmp_path):
    output = tmp_path / "clips"
    subprocess.run(["cp", "-r", reference, output], check=True)
    for clip in range(CLIPS):
        shutil.rmtree(output / f"clip_{clip:05d}" / "feature_maps")
    ran = clipfarm("local", run_file, "--output", output, "--start_job", 1, "--end_job", 1)
    assert ran.returncode == 0, ran.stdout
    assert [path.parent.parent.name for path in output.glob("*/*/*.npy") if "feature" in str(path)] == ["clip_00001"]


def test_a_clip_that_cannot_be_encoded_is_named_and_the_others_are_encoded(run_file, reference, tmp_path):
    output = tmp_path / "clips"
    subprocess.run(["cp", "-r", reference, output], check=True)
    for clip in range(CLIPS):
        for name in ("npy", "json"):
            (output / f"clip_{clip:05d}" / "feature_maps" / f"vjepa2_tiny16.{name}").unlink()
    frame = output / "clip_00001" / "rgb" / "frame_00002.png"
    data = frame.read_bytes()  # the size stays, the picture does not
    frame.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    ran = clipfarm("local", run_file, "--output", output)
    assert ran.returncode == 1, ran.stdout
    assert "failed to encode: clips 1: " in ran.stdout
    assert "frame_00002.png" in ran.stdout
    report = json.loads((output / "report.json").read_text())
    assert (report["phase"], report["clips"]["encoded"]) == ("CompletedWithFailures", 2)

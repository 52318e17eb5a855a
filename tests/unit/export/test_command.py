"""What `clipfarm export` writes, leaves out and refuses."""

import hashlib
import io
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import load_file

from clipfarm_contract.completing import complete
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.export_end import ExportEnd
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_contract.result import ClipResult
from clipfarm_export.cli import command
from clipfarm_export.destination.folder import Folder
from clipfarm_export.formats.episodes import Totals
from helpers.exports import TITLE, content, export
from helpers.run_folder import FEATURES, FRAMES, SIZE, experiment, give_features, make_run


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run") / "clips", features=True)


def test_damaged_clips_are_left_out_and_reported(tmp_path):
    run = make_run(tmp_path / "run", features=True)
    frame = run.clip(1).frame(3)
    frame.write_bytes(frame.read_bytes()[:-1] + b"x")
    run.clip(2).manifest.write_text("{}")
    array = run.clip(4).features(FEATURES)
    np.save(array, np.load(array) + np.float16(1))
    done = export(run.root, tmp_path / "out", "--features", FEATURES)
    assert done.exit_code == 1
    report = json.loads((tmp_path / "out" / "export.json").read_text())
    reasons = {each["clip"]: each["reason"] for each in report["leftOut"]}
    assert reasons.keys() == {"clip_00001", "clip_00002", "clip_00004"}
    assert reasons["clip_00001"].startswith("rgb/frame_00003.png: sha256")
    assert reasons["clip_00002"].startswith("clip.json.version: missing")
    assert reasons["clip_00004"] == f"features {FEATURES}: sha256 is not the one in {FEATURES}.json"
    for clip, reason in reasons.items():
        assert f"left out: {clip}: {reason}" in done.stdout
    there = pq.read_table(tmp_path / "out" / "metadata" / "clips.parquet")["index"].to_pylist()
    assert there == [0, 3, 4, 5]
    index = json.loads((tmp_path / "out" / "features" / FEATURES / "index.json").read_text())
    assert list(index["weight_map"]) == ["clip_00000", "clip_00003", "clip_00005"]


def test_a_complete_export_is_not_made_again_and_the_run_keeps_its_files(a_run, tmp_path):
    before = content(a_run.root)
    assert export(a_run.root, tmp_path / "out").exit_code == 0
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = export(a_run.root, tmp_path / "out")
    assert (done.exit_code, done.stdout.startswith("complete already: 6 clips")) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times
    assert content(a_run.root) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--features", "vitl"], "--features: found 'vitl', expected a feature set", id="no such features"),
        pytest.param(["--features", "all", "--features", "vitl"], "--features: found 'vitl'", id="all and no such one"),
        pytest.param(
            ["--layers", "depth"], "--layers: found 'depth', expected a layer of this run", id="no such layer"
        ),
        pytest.param(["--video", "gif"], "'gif' is not one of", id="no such video"),
    ],
)
def test_what_the_run_does_not_have_is_refused_in_one_line(a_run, tmp_path, arguments, said):
    done = export(a_run.root, tmp_path / "out", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1 or "Usage" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(a_run, tmp_path):
    (tmp_path / "thesis.tex").touch()
    for arguments in ([], ["--overwrite"]):
        done = export(a_run.root, tmp_path, *arguments)
        assert done.exit_code == 2
        assert "thesis.tex" in done.stderr
    assert (tmp_path / "thesis.tex").exists()


def test_an_export_of_other_options_is_only_replaced_if_asked_for(a_run, tmp_path):
    place = tmp_path / "out"
    assert export(a_run.root, place).exit_code == 0
    done = export(a_run.root, place, "--video", "h264")
    assert done.exit_code == 2
    assert "--replace (clipfarm local: --export-replace; in a run file: export.replace: true)" in done.stderr
    assert export(a_run.root, place, "--video", "h264", "--overwrite").exit_code == 0


def test_overwrite_removes_no_folder_that_happens_to_have_a_file_called_export_json(a_run, tmp_path):
    (tmp_path / "export.json").write_text('{"version": 1}')
    (tmp_path / "thesis.tex").touch()
    done = export(a_run.root, tmp_path, "--overwrite")
    assert done.exit_code == 2
    assert "found export.json and no export" in done.stderr
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("finished", [True, False])
def test_overwrite_removes_nothing_while_other_files_are_beside_an_export(a_run, tmp_path, finished):
    place = tmp_path / "out"
    assert export(a_run.root, place).exit_code == 0
    if not finished:
        (place / "SHA256SUMS").unlink()
    notes = place / ("data" if finished else "mine") / "notes.txt"
    notes.parent.mkdir(exist_ok=True)
    notes.touch()
    before = content(place)
    done = export(a_run.root, place, "--video", "h264", "--overwrite")
    assert done.exit_code == 2
    assert f"found {notes.relative_to(place)} beside the export, so nothing is removed" in done.stderr
    assert content(place) == before
    notes.unlink()
    assert export(a_run.root, place, "--video", "h264", "--overwrite").exit_code == 0


def test_overwrite_does_not_remove_an_export_that_is_being_made(a_run, tmp_path):
    place = tmp_path / "out"
    assert export(a_run.root, place).exit_code == 0
    with Folder(place).held():
        done = export(a_run.root, place, "--video", "h264", "--overwrite")
        assert (place / "export.json").exists()
    assert done.exit_code == 2
    assert "in use by another export" in done.stderr


@pytest.mark.parametrize("inside", ["", "export", ".."])
def test_a_destination_in_the_run_or_around_it_is_refused(a_run, inside):
    done = export(a_run.root, os.path.normpath(a_run.root / inside))
    assert done.exit_code == 2
    assert "expected one beside it" in done.stderr


@pytest.mark.parametrize(("run", "place", "said"), [("", "out", "RUN_FOLDER"), ("run", "", "DEST")])
def test_an_empty_path_is_not_the_current_folder(tmp_path, monkeypatch, run, place, said):
    make_run(tmp_path / "run", 1)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / ("here" if run else "run"))
    done = CliRunner().invoke(command, [run and str(tmp_path / run), place, "--format", "hf", *TITLE])
    assert (done.exit_code, f"{said}: found nothing, expected a folder" in done.stderr) == (2, True)


def test_clips_of_two_runs_are_not_mixed(tmp_path):
    run = make_run(tmp_path / "run")
    make_run(tmp_path / "other", fps=15)
    run.clip(3).folder.rename(tmp_path / "moved")
    (tmp_path / "other" / "clip_00003").rename(run.clip(3).folder)
    done = export(run.root, tmp_path / "out")
    assert done.exit_code == 2
    assert "clips of 2 different runs (clips 0-2,4-5; clips 3)" in done.stderr


def test_frames_can_be_exported_as_the_pictures_that_were_rendered(a_run, tmp_path):
    assert export(a_run.root, tmp_path, "--video", "png").exit_code == 0
    [row] = pq.read_table(tmp_path / "data" / "A1-00000-of-00001.parquet", filters=[("index", "==", 1)]).to_pylist()
    assert [each["bytes"] for each in row["images"]] == [a_run.clip(1).frame(i).read_bytes() for i in range(FRAMES)]
    assert "video" not in row


def test_layers_are_exported_as_arrays_over_all_frames(tmp_path):
    run = make_run(tmp_path / "run", 2, layers=["rgb", "depth", "segmentation"])
    assert export(run.root, tmp_path / "out", "--layers", "depth,segmentation").exit_code == 0
    [row] = pq.read_table(tmp_path / "out" / "data" / "A1-00000-of-00001.parquet").to_pylist()
    for name in ("depth", "segmentation"):
        values = np.load(io.BytesIO(row[name]))
        assert values.shape == (FRAMES, SIZE, SIZE)
        path = run.clip(0).layer(name, 5)
        assert np.array_equal(values[5], np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path)))


def test_files_are_of_about_the_size_that_is_wanted(tmp_path):
    run = make_run(tmp_path / "run", 4, resolution=256, frames=8)
    arguments = ["--video", "png", "--shard-size", 1, "--previews", 0]
    assert export(run.root, tmp_path / "out", *arguments).exit_code == 0
    names = sorted(path.name for path in (tmp_path / "out" / "data").iterdir())
    assert names == [
        "A1-00000-of-00002.parquet",
        "A1-00001-of-00002.parquet",
        "slippery_floor-00000-of-00002.parquet",
        "slippery_floor-00001-of-00002.parquet",
    ]


def test_a_row_group_has_at_most_100_clips(tmp_path):
    run = make_run(tmp_path / "run", 210, frames=2, resolution=16)
    assert export(run.root, tmp_path / "out", "--previews", 0).exit_code == 0
    file = pq.ParquetFile(tmp_path / "out" / "data" / "A1-00000-of-00001.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [100, 5]


def test_clips_that_failed_are_in_the_report_and_no_fault_of_the_export(tmp_path):
    run = make_run(tmp_path / "run", 2)
    result = ClipResult(
        7, ExitCode.FAILED, reason="moves: the cube never moved", seconds={}, cpu_seconds=1.0, peak_rss_mib=1.0
    )
    run.result(7).parent.mkdir(parents=True)
    run.result(7).write_text(json.dumps(result.to_json()))
    done = export(run.root, tmp_path / "out")
    assert done.exit_code == 0
    assert "left out: clip_00007: failed to render: moves: the cube never moved" in done.stdout


def test_a_run_of_a_renderer_that_writes_frames_alone_is_exported(tmp_path):
    what = experiment(1)
    attempt = Clip(RunFolder(tmp_path / "run").attempt(0, "made"))
    attempt.rgb.mkdir(parents=True)
    Image.new("RGB", (SIZE, SIZE)).save(attempt.frame(0))
    complete(attempt.folder, RunFolder(tmp_path / "run").clip(0), what.recipe(1, 0), {}, ("draw",))
    assert export(tmp_path / "run", tmp_path / "out").exit_code == 0
    [row] = pq.read_table(tmp_path / "out" / "data" / "A1-00000-of-00001.parquet").to_pylist()
    assert (row["num_frames"], row["actions"], row["seed_clip"]) == (1, None, None)


def test_a_feature_set_with_several_layers_has_a_tensor_for_each(tmp_path):
    run = make_run(tmp_path / "run", 2)
    for index in (0, 1):
        give_features(run.clip(index), name="layers", layers=(4, 8))
        give_features(run.clip(index))
    done = export(run.root, tmp_path / "out", "--features", "layers", "--features", FEATURES)
    assert done.exit_code == 0, done.stderr
    folder = tmp_path / "out" / "features" / "layers"
    tensors = load_file(folder / "features-00000-of-00001.safetensors")
    assert list(json.loads((folder / "index.json").read_text())["weight_map"]) == sorted(tensors)
    for index in (0, 1):
        for key, values in load_file(run.clip(index).features("layers", several=True)).items():
            assert np.array_equal(tensors[f"clip_{index:05d}/{key}"], values)


def test_features_that_were_made_otherwise_are_left_out_and_those_of_another_device_are_not(tmp_path):
    run = make_run(tmp_path / "run", 3, features=True)
    for index, change in ((1, {"compute": "bfloat16"}), (2, {"weights": {"sha256": "00"}})):
        sidecar = run.clip(index).features_sidecar(FEATURES)
        sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | change))
    done = export(run.root, tmp_path / "out", "--features", FEATURES)
    assert done.exit_code == 1
    [line] = [line for line in done.stdout.splitlines() if line.startswith("left out")]
    assert line == f"left out: clip_00002: features {FEATURES}: made in another way than those of the first clip"


def test_a_damaged_sidecar_costs_the_features_of_its_clip_alone(tmp_path):
    run = make_run(tmp_path / "run", 3, features=True)
    run.clip(0).features_sidecar(FEATURES).write_text("{")
    done = export(run.root, tmp_path / "out", "--features", FEATURES)
    assert done.exit_code == 1
    [line] = [line for line in done.stdout.splitlines() if line.startswith("left out")]
    assert line.startswith(f"left out: clip_00000: features {FEATURES}: {FEATURES}.json: not JSON")


def rewrite_truth(clip, **values):
    """Write another ground truth with the hash that it has in ``clip.json``."""
    written = json.dumps(json.loads(clip.ground_truth.read_text()) | values).encode()
    clip.ground_truth.write_bytes(written)
    manifest = json.loads(clip.manifest.read_text())
    manifest["files"]["ground_truth.json"] = {"sha256": hashlib.sha256(written).hexdigest(), "size": len(written)}
    clip.manifest.write_text(json.dumps(manifest))


def test_a_clip_with_text_that_is_no_unicode_is_left_out(tmp_path):
    run = make_run(tmp_path / "run", 2)
    rewrite_truth(run.clip(1), word="half a pair: \ud800")
    done = export(run.root, tmp_path / "out")
    assert done.exit_code == 1
    assert "left out: clip_00001: ground_truth.json: found '\\ud800', which is no character" in done.stdout


@pytest.mark.parametrize("form", ["hf", "webdataset", "lerobot"])
def test_a_factor_that_some_clips_lack_is_exported(tmp_path, form):
    run = make_run(tmp_path / "run", 3)
    rewrite_truth(run.clip(1), wind=4.0)
    assert export(run.root, tmp_path / "out", form=form).exit_code == 0
    if form == "lerobot":
        stats = json.loads((tmp_path / "out" / "meta" / "stats.json").read_text())
        assert [stats["physics.wind"][name] for name in ("min", "max", "mean", "std")] == [[4.0], [4.0], [4.0], [0.0]]


def test_numbers_that_no_frame_has_do_not_count():
    nan, inf = float("nan"), float("inf")
    totals = Totals.of(np.array([[1.0, nan, inf], [3.0, nan, 2.0]]))
    assert totals.to_json(0.0) == {
        "min": [1.0, 0.0, 2.0], "max": [3.0, 0.0, 2.0], "mean": [2.0, 0.0, 2.0], "std": [1.0, 0.0, 0.0], "count": [2]
    }  # fmt: skip


@pytest.mark.parametrize("form", ["hf", "webdataset", "lerobot"])
def test_a_run_whose_clips_are_all_damaged_is_refused_in_one_line(tmp_path, form):
    run = make_run(tmp_path / "run", 2)
    for index in range(2):
        run.clip(index).frame(0).write_bytes(b"")
    done = export(run.root, tmp_path / "out", form=form)
    assert done.exit_code == 2
    assert "no clip can be exported; clip_00000: rgb/frame_00000.png" in done.stderr


def test_a_folder_in_which_another_export_is_at_work_is_refused(a_run, tmp_path):
    place = tmp_path / "out"
    with Folder(place).held():
        done = export(a_run.root, place)
    assert done.exit_code == 2
    assert "in use by another export" in done.stderr
    assert export(a_run.root, place).exit_code == 0


def test_what_a_late_kill_left_behind_is_removed(a_run, tmp_path):
    place = tmp_path / "out"
    assert export(a_run.root, place).exit_code == 0
    before = content(place)
    (place / ".clipfarm-export" / "parts").mkdir(parents=True)
    (place / ".clipfarm-export" / "plan.json").write_text("{}")
    assert export(a_run.root, place).stdout.startswith("complete already")
    assert content(place) == before


def test_clips_of_another_run_in_the_folder_are_left_alone_if_the_runs_own_are_named(tmp_path):
    run = make_run(tmp_path / "run", 4)
    make_run(tmp_path / "other", 6, fps=15)
    for index in (4, 5):
        (tmp_path / "other" / f"clip_{index:05d}").rename(run.clip(index).folder)
    done = export(run.root, tmp_path / "out", "--clips", "0-3")
    assert (done.exit_code, done.stdout.startswith("exported 4 clips")) == (0, True)


def test_clips_of_the_run_that_are_not_there_are_in_the_report_and_no_fault_of_the_export(tmp_path):
    run = make_run(tmp_path / "run", 3)
    done = export(run.root, tmp_path / "out", "--clips", "0-4")
    assert done.exit_code == 0
    assert "left out: clip_00003: was not made\nleft out: clip_00004: was not made\n" in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "--clips: found none, expected ranges such as 0-99,105"),
        ("a", '--clips: found "a", expected ranges such as 0-99,105'),
        ("0-999999999999", "--clips: found 1000000000000 clips, expected 1000000 at most"),
        ("90-95", "found no complete clip, expected clips among 90-95"),
    ],
)
def test_clips_that_make_no_sense_are_refused_in_one_line(a_run, tmp_path, given, said):
    done = export(a_run.root, tmp_path / "out", "--clips", given)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_replace_removes_an_export_of_other_options_and_continues_the_same_one(a_run, tmp_path):
    place = tmp_path / "out"
    assert export(a_run.root, place).exit_code == 0
    again = export(a_run.root, place, "--replace")
    assert again.stdout.startswith("complete already: 6 clips")
    assert export(a_run.root, place, "--video", "h264", "--replace").stdout.startswith("exported 6 clips")
    (place / "thesis.tex").touch()
    done = export(a_run.root, place, "--replace")
    assert (done.exit_code, "found thesis.tex beside the export" in done.stderr) == (2, True)


def test_what_an_export_came_to_is_written_where_it_is_asked_for(tmp_path):
    run, message = make_run(tmp_path / "run"), tmp_path / "message"
    run.clip(1).manifest.write_text("{}")
    given = ["--termination-message", message, "--previews", 1]
    assert export(run.root, tmp_path / "out", *given).exit_code == 1
    assert export(run.root, tmp_path / "out", *given, "--allow-left-out").exit_code == 0
    end = ExportEnd.parse(message.read_text())
    assert (end.clips, end.left_out, end.error) == (5, 1, "")
    assert end.files == len([path for path in (tmp_path / "out").rglob("*") if path.is_file()])
    assert end.reasons == ("clip 1: clip.json.version: missing, expected a whole number",)
    assert export(run.root, run.root / "inside", *given).exit_code == 2
    assert ExportEnd.parse(message.read_text()).error.endswith("expected one beside it")

"""``clipfarm gallery``: what it reads, what it writes, and what it says."""

import importlib
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from clipfarm.gallery import places, strips, table
from clipfarm.gallery.rows import Failure, Row, failures, rows
from helpers.clips import give_features, make_clips

command = importlib.import_module("clipfarm.cli.gallery").gallery


@pytest.fixture
def run(tmp_path):
    return make_clips(tmp_path / "run", frames=4, size=16, A1=2, B=1)


def gallery(run, *options):
    return CliRunner().invoke(command, [str(run.root), *map(str, options)])


def data(folder):
    text = (folder / "data" / "clips.js").read_text()
    return json.loads(text.removeprefix('gallery.receive("clips", ').removesuffix(");\n"))


def column(found, name):
    return next(each for each in found["columns"] if each["name"] == name)


def test_the_table_holds_every_clip_in_columns(run):
    done = gallery(run)
    folder = run.root / "gallery"
    assert done.output == f"gallery of 3 clips: {(folder / 'index.html').as_uri()}\n"
    found = data(folder)
    truth = [json.loads(run.clip(index).ground_truth.read_text()) for index in range(3)]
    assert found["index"] == [0, 1, 2]
    assert found["run"] == ".."
    assert found["strip"] == found["frames"] == [4, 4, 4]
    assert column(found, "phase")["levels"] == ["A1", "B"]
    assert column(found, "phase")["values"] == [0, 0, 1]
    assert column(found, "friction")["values"] == pytest.approx([each["friction"] for each in truth], rel=1e-5)
    assert column(found, "mass")["unit"] == "kg"
    assert column(found, "distance")["role"] == "outcome"


def test_the_run_itself_is_not_touched(run):
    before = {path: path.stat().st_mtime_ns for path in run.root.rglob("*")}
    gallery(run)
    after = {path: path.stat().st_mtime_ns for path in before if path != run.root}
    assert after == {path: time for path, time in before.items() if path != run.root}


def test_only_thumbnails_of_new_clips_are_made_again(run):
    gallery(run)
    first, again = (places.strip(run.root / "gallery", index) for index in (0, 1))
    before = first.stat().st_ino, again.stat().st_ino
    later = again.stat().st_mtime + 10
    os.utime(run.clip(1).rgb, (later, later))
    gallery(run)
    assert first.stat().st_ino == before[0]
    assert again.stat().st_ino != before[1]


def test_a_damaged_picture_costs_its_thumbnail_alone(run):
    run.clip(1).frame(2).write_bytes(b"no picture")
    done = gallery(run)
    assert done.exit_code == 0
    assert done.output.startswith("clip 1 has no thumbnail: frame_00002.png: damaged, or not a PNG picture")
    assert data(run.root / "gallery")["strip"] == [4, 0, 4]


@pytest.mark.parametrize(("width", "height"), [(300, 100), (100, 300), (64, 64)])
def test_a_picture_keeps_its_proportions_in_a_strip(run, width, height):
    for frame in range(4):
        Image.new("RGB", (width, height), (200, 0, 0)).save(run.clip(0).frame(frame))
    strip = strips.make(run.clip(0))
    assert strip.size == (4 * strips.SIDE, strips.SIDE)
    box = strip.crop((0, 0, strips.SIDE, strips.SIDE)).point(lambda value: 255 * (value > 100)).getbbox()
    shown = box[2] - box[0], box[3] - box[1]
    assert shown[0] / shown[1] == pytest.approx(width / height, rel=0.03)


@pytest.mark.parametrize("count", [0, 1, 5, 12, 13, 32, 1000])
def test_a_strip_shows_the_first_and_the_last_picture(count):
    shown = places.chosen(count)
    assert len(shown) == min(count, places.MOST)
    assert shown == sorted(set(shown))
    assert shown[:1] + shown[-1:] == [0, count - 1][: 2 * bool(count)]


def test_clips_that_failed_are_listed_with_stage_and_reason(run):
    run.clip(2).manifest.unlink()
    run.clip(1).ground_truth.write_text("{")
    run.result(7).parent.mkdir(parents=True)
    result = {"index": 7, "exitCode": 2, "reason": "out of memory", "seconds": {}, "cpuSeconds": 1, "peakRssMiB": 1}
    run.result(7).write_text(json.dumps(result))
    run.result(0).write_text(json.dumps(result | {"index": 0}))  # an earlier attempt: the clip is there
    clips = {"waiting": 0, "encoding": 0, "encoded": 0, "skipped": 0}
    run.encode_log().write_text(
        json.dumps({"clips": clips, "failures": [{"clip": "clip_00000", "reason": "no weights"}]})
    )
    done = gallery(run)
    assert done.output.startswith("gallery of 1 clip, 4 failures: ")
    found = {(each["index"], each["stage"], each["reason"]) for each in data(run.root / "gallery")["failures"]}
    assert found == {
        (0, "encode", "no weights"),
        (1, "read", "ground_truth.json: not JSON"),
        (2, "read", "clip.json: missing"),
        (7, "render", "out of memory"),
    }


def test_failures_of_a_run_in_a_cluster_are_listed_with_the_last_encoder_s_reason(run):
    clips = {"waiting": 0, "encoding": 0, "encoded": 0, "skipped": 0}
    folder = run.state / "encode" / "friction"
    folder.mkdir(parents=True)
    ends = [("friction-encode-b", "rgb: missing"), ("friction-encode-a", "no weights")]
    for second, (pod, reason) in enumerate(ends):
        log = folder / f"{pod}.json"
        log.write_text(json.dumps({"clips": clips, "failures": [{"clip": "clip_00001", "reason": reason}]}))
        os.utime(log, (second, second))
    run.result(7).parent.mkdir(parents=True, exist_ok=True)
    result = {"index": 7, "exitCode": 1, "reason": "was black", "seconds": {}, "cpuSeconds": 1, "peakRssMiB": 1}
    run.result(7).write_text(json.dumps(result))
    gallery(run)
    found = [(each["index"], each["stage"], each["reason"]) for each in data(run.root / "gallery")["failures"]]
    assert found == [(1, "encode", "no weights"), (7, "render", "was black")]


def test_a_clip_that_another_encoder_has_encoded_since_is_no_failure(run):
    clips = {"waiting": 0, "encoding": 0, "encoded": 0, "skipped": 0}
    sets = [{"name": name, "clips": clips | {"failed": 2}} for name in ("frames", "means")]
    failures = [{"clip": f"clip_0000{index}", "reason": "out of memory"} for index in (0, 1)]
    log = run.state / "encode" / "friction" / "friction-encode-a.json"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"clips": clips, "sets": sets, "failures": failures}))
    for index, names in ((0, ("frames",)), (1, ("frames", "means"))):
        for name in names:
            give_features(run.clip(index), name, np.zeros((1, 1, 1), np.float16))
    gallery(run)
    found = [(each["index"], each["stage"], each["reason"]) for each in data(run.root / "gallery")["failures"]]
    assert found == [(0, "encode", "out of memory")]


def test_the_gallery_may_lie_elsewhere(run, tmp_path):
    place = tmp_path / "some where" / "page"
    done = gallery(run, "--output", place)
    assert done.exit_code == 0
    assert data(place)["run"] == "../../run"
    assert not (run.root / "gallery").exists()


def test_files_of_others_in_the_gallery_s_folder_stay(run, tmp_path):
    place = tmp_path / "page"
    (place / "data").mkdir(parents=True)
    (place / "data" / "measured.csv").write_text("mine")
    for _ in range(2):
        assert gallery(run, "--output", place).exit_code == 0
    assert (place / "data" / "measured.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["index.html", "main.js"])
def test_another_page_is_not_overwritten(run, tmp_path, name):
    place = tmp_path / "site"
    place.mkdir()
    (place / name).write_text("mine")
    done = gallery(run, "--output", place)
    assert (done.exit_code, done.output) == (
        2,
        f"--output: found {place / name} of another page, expected a folder of its own for the gallery\n",
    )
    assert [path.name for path in place.iterdir()] == [name]


def test_numbers_that_are_none_do_not_break_the_data(run):
    truth = json.loads(run.clip(0).ground_truth.read_text())
    run.clip(0).ground_truth.write_text(json.dumps(truth | {"odd": float("nan"), "far": [float("inf")]}))
    assert gallery(run).exit_code == 0
    assert '"odd":"nan","far":["inf"]' in (run.root / "gallery" / "data" / "truth-00000.js").read_text()


def test_a_whole_number_that_is_larger_than_any_float_is_no_factor(run):
    truth = json.loads(run.clip(0).ground_truth.read_text())
    run.clip(0).ground_truth.write_text(json.dumps(truth | {"huge": 10**400}))
    assert gallery(run).exit_code == 0
    assert "huge" not in [each["name"] for each in data(run.root / "gallery")["columns"]]


def test_a_body_that_is_not_there_has_no_place(run):
    import numpy as np

    states = np.ones((4, 2, 13), np.float32)
    states[2, 1] = np.nan
    np.save(run.clip(0).states, states)
    assert gallery(run).exit_code == 0
    text = (run.root / "gallery" / "data" / "truth-00000.js").read_text()
    assert (
        '"paths":[[[1.0,1.0,1.0],[1.0,1.0,1.0],[1.0,1.0,1.0],[1.0,1.0,1.0]],[[1.0,1.0,1.0],[1.0,1.0,1.0],null,' in text
    )


def test_a_split_is_a_group_of_clips(run):
    for index, split in ((0, "train"), (1, "test"), (2, "test")):
        truth = json.loads(run.clip(index).ground_truth.read_text())
        run.clip(index).ground_truth.write_text(json.dumps(truth | {"split": split}))
    gallery(run)
    found = column(data(run.root / "gallery"), "split")
    assert (found["role"], found["levels"], found["values"]) == ("group", ["test", "train"], [1, 0, 0])


def test_words_with_too_many_values_are_no_column(run):
    found = [row for row in rows(run, run.clips()) if isinstance(row, Row)]
    many = [
        Row(i, type(found[0].truth)("clip", "", {}, {"name": f"n{i}"}, {}, (), 0, None), 0, ())
        for i in range(table.MOST_LEVELS + 1)
    ]
    assert "name" not in [each["name"] for each in table.table(many, [], {})["columns"]]
    assert "name" in [each["name"] for each in table.table(many[1:], [], {})["columns"]]


def test_what_cannot_be_is_refused_in_one_line(run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "export.json").touch()
    for folder, options, line in (
        (tmp_path / "empty", (), f"{tmp_path}/empty: no clips, expected folders such as clip_00042\n"),
        (tmp_path / "none", (), f"{tmp_path}/none: not a folder\n"),
        (
            tmp_path / "set",
            (),
            f"{tmp_path}/set: found an export, expected the folder of the run, with folders such as clip_00042\n",
        ),
        (
            run.root,
            ("--output", run.root),
            f"--output: found {run.root}, expected a folder of its own for the gallery\n",
        ),
        (
            run.root,
            ("--output", tmp_path),
            f"--output: found {tmp_path}, expected a folder of its own for the gallery\n",
        ),
    ):
        done = CliRunner().invoke(command, [str(folder), *map(str, options)])
        assert (done.exit_code, done.output) == (2, line)


def test_a_folder_without_results_has_no_failures(run):
    assert failures(run, [0, 1, 2]) == []
    assert list(rows(run, [5])) == [Failure(5, "read", "clip.json: missing")]

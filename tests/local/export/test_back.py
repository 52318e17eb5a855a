"""`clipfarm verify` and `clipfarm clip` on an export: its hashes, and the way back from a row to the clip."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from helpers.chart import ROOT
from helpers.exports import export
from helpers.local import clipfarm
from helpers.run_folder import make_run
from helpers.runs import document


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """An export of three clips by a renderer that draws in no time."""
    folder = tmp_path_factory.mktemp("drawn")
    renderer = [sys.executable, str(ROOT / "examples" / "own-renderer" / "bouncing_ball.py")]
    run = document(3, render={"command": renderer}, workers=1)
    run["spec"]["experiment"] |= {"frames": 8, "resolution": 64}
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    done = clipfarm("local", folder / "run.yaml", "--output", folder / "clips")
    assert done.returncode == 0, done.stdout + done.stderr
    assert export(folder / "clips", folder / "export").exit_code == 0
    return folder / "export"


def test_clips_of_an_export_are_made_again_to_the_byte(drawn, tmp_path):
    done = clipfarm("verify", drawn, "--rerender", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "checked 7 files of an export: no problems",
        "clip 0, made again: every byte is the same",
    ]
    done = clipfarm("clip", drawn, 2, "--output", tmp_path / "kept")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "kept" / "clip_00002" / "clip.json").exists()


def test_a_clip_that_the_export_does_not_have_is_named(drawn):
    done = clipfarm("clip", drawn, 7)
    assert done.returncode == 1
    assert f"{drawn}: has no clip 7" in done.stdout


def test_what_has_changed_in_an_export_is_named(tmp_path):
    run, place = make_run(tmp_path / "run", 2), tmp_path / "out"
    assert export(run.root, place).exit_code == 0
    (place / "README.md").write_text("My own words.")
    assert clipfarm("verify", place).stdout == "checked 7 files of an export: no problems\n"
    (place / "previews" / "clip_00000.mp4").unlink()
    (place / "extra.txt").touch()
    report = place / "export.json"
    report.write_text(report.read_text() + " ")
    done = clipfarm("verify", place)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "export.json: sha256 is not the one in SHA256SUMS",
        "previews/clip_00000.mp4: missing",
        "extra.txt: not part of the export",
        "checked 7 files of an export: 3 problems",
    ]


def test_an_unfinished_export_is_reported_as_such(tmp_path):
    (tmp_path / ".clipfarm-export").mkdir()
    done = clipfarm("verify", tmp_path)
    assert (done.returncode, "unfinished" in done.stdout) == (1, True)


def test_a_video_of_other_frames_is_noticed_when_its_clip_is_taken_out(drawn, tmp_path):
    """Also where all hashes were brought up to date: the row has the hash of its pixels."""
    subprocess.run(["cp", "-r", drawn, tmp_path / "other"], check=True)
    path = next((tmp_path / "other" / "data").iterdir())
    table = pq.read_table(path)
    videos = table["video"].to_pylist()
    table = table.set_column(
        table.schema.get_field_index("video"),
        "video",
        pa.array(videos[1:] + videos[:1], table.schema.field("video").type),
    )
    pq.write_table(table, path)
    done = clipfarm("clip", tmp_path / "other", 1)
    assert (done.returncode, "the frames of clip 1 are not those that it records" in done.stdout) == (1, True)

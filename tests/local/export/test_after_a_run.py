"""`clipfarm local --export`: the clips of a run as a data set when it has ended."""

import pyarrow.parquet as pq
import pytest

from helpers.local import Local


@pytest.fixture
def run(tmp_path):
    return Local(tmp_path, clips=3, spec={"experiment": {"frames": 4, "resolution": 16, **phases(3)}})


def phases(clips):
    ranges = {"friction": {"min": 0.5, "max": 0.9}, "mass": {"min": 1, "max": 1}}
    return {"phases": [{"name": "A", "clips": {"start": 0, "end": clips - 1}, **ranges}]}


def test_complete_clips_are_exported_when_the_run_ends_also_if_others_have_failed(run):
    for clip in (0, 2):
        run.script(clip, "paint ok")
    run.script(1, "exit 1")
    done = run.run("--export", "hf", "--license", "cc-by-4.0")
    assert done.returncode == 1, done.stdout + done.stderr
    place = run.output.with_name("clips-hf")
    assert "exported 2 clips in " in done.stdout
    assert "left out: clip_00001: failed to render" in done.stdout
    assert pq.read_table(place / "metadata" / "clips.parquet")["index"].to_pylist() == [0, 2]


def test_an_export_of_fewer_clips_is_replaced_if_asked_for(run):
    for clip, does in enumerate(("paint ok", "paint ok", "exit 1")):
        run.script(clip, does)
    asked = ("--export", "hf", "--license", "mit")
    assert "exported 2 clips in " in run.run(*asked).stdout
    run.script(2, "paint ok")
    refused = run.run(*asked)
    assert (refused.returncode, "--export-replace" in refused.stderr) == (2, True)
    assert "exported 3 clips in " in run.run(*asked, "--export-replace").stdout


def test_a_test_run_is_not_exported(run):
    done = run.run("--export", "hf", "--license", "cc-by-4.0", "--test-clips", 1)
    assert (done.returncode, "no export of a test" in done.stdout) == (0, True)
    assert not run.output.with_name("clips-hf").exists()


@pytest.fixture
def exported(tmp_path):
    """A run whose file asks for an export."""
    asked = {"format": "webdataset", "license": "mit", "destination": "sets/squares", "name": "Squares"}
    scene = {"experiment": {"frames": 4, "resolution": 16, **phases(2)}, "export": asked}
    made = Local(tmp_path, clips=2, spec=scene)
    for clip in (0, 1):
        made.script(clip, "paint ok")
    return made


def test_the_run_file_s_export_is_made_beside_the_clips(exported):
    done = exported.run()
    assert done.returncode == 0, done.stdout + done.stderr
    place = exported.output.parent / "sets" / "squares"
    assert "exported 2 clips in " in done.stdout
    assert [path.suffix for path in (place / "data").iterdir()] == [".tar"]
    assert "# Squares" in (place / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "place"),
    [(["--export", "none"], None), (["--export", "hf"], "clips-hf"), (["--export-to", "elsewhere"], "elsewhere")],
)
def test_options_win_over_the_run_file(exported, arguments, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = exported.run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (exported.output.parent / "sets").exists()
    assert ("exported 2 clips" in done.stdout) == (place is not None)
    assert place is None or (tmp_path / place / "SHA256SUMS").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--export", "hf"], "--license: found none, expected the licence of the export, such as cc-by-4.0\n"),
        (
            ["--export", "hf", "--license", " "],
            "--license: found ' ', expected an identifier such as cc-by-4.0, on one line\n",
        ),
        (["--license", "mit"], "--export: found none, expected a format with --export-to and --license\n"),
    ],
)
def test_a_mistake_is_named_before_anything_is_rendered(run, arguments, said):
    done = run.run(*arguments)
    assert (done.returncode, done.stderr) == (2, said)
    assert not run.started()


@pytest.mark.parametrize("place", ["", "set", ".."])
def test_an_export_among_the_clips_is_refused_before_anything_is_rendered(run, place):
    done = run.run("--export", "hf", "--license", "mit", "--export-to", run.output / place)
    assert done.returncode == 2
    assert "expected a folder beside" in done.stderr
    assert not run.started()

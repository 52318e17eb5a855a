"""The same command once more: after a repair of the run, and after its author has completed the card."""

import json
import shutil

import numpy as np
import pytest

from clipfarm_export import features
from clipfarm_export.job import Job
from helpers.exports import content, export
from helpers.run_folder import FEATURES, make_run

FORMATS = pytest.mark.parametrize("form", ["hf", "webdataset", "lerobot"])


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", 4, features=True)


def damage(run, index):
    """Damage a frame of a clip; return what repairs it, as the run does."""
    frame = run.clip(index).frame(3)
    whole = frame.read_bytes()
    frame.write_bytes(whole[:-1])
    return lambda: frame.write_bytes(whole)


@FORMATS
def test_a_clip_that_was_damaged_and_is_whole_again_is_not_reported_as_damaged(run, tmp_path, form):
    repair, place = damage(run, 1), tmp_path / "out"
    assert export(run.root, place, form=form).exit_code == 1
    again = export(run.root, place, form=form)
    assert (again.exit_code, again.stdout.startswith("complete already: 3 clips")) == (1, True)
    repair()
    done = export(run.root, place, form=form)
    assert done.exit_code == 2
    assert "clip_00001 was left out (rgb/frame_00003.png: " in done.stderr
    assert "), and is whole now; use another folder, or --replace" in done.stderr
    assert export(run.root, place, "--replace", form=form).stdout.startswith("exported 4 clips")
    assert export(run.root, tmp_path / "other", form=form).exit_code == 0
    assert content(place) == content(tmp_path / "other")


def test_the_first_clip_is_read_once_however_many_others_are_left_out(run, tmp_path, monkeypatch):
    for index in (1, 2, 3):
        damage(run, index)
    assert export(run.root, tmp_path / "out", form="lerobot").exit_code == 1
    verified, names = Job.verified, []

    def counted(job, candidate):
        names.append(candidate.name)
        return verified(job, candidate)

    monkeypatch.setattr(Job, "verified", counted)
    assert export(run.root, tmp_path / "out", form="lerobot").stdout.startswith("complete already: 1 clips")
    assert sorted(names) == ["clip_00000", "clip_00001", "clip_00002", "clip_00003"]


def test_features_that_were_damaged_and_are_whole_again_are_not_reported_as_damaged(run, tmp_path):
    path, place = run.clip(2).features(FEATURES), tmp_path / "out"
    whole = path.read_bytes()
    np.save(path, np.load(path) + np.float16(1))
    shutil.rmtree(run.clip(3).features(FEATURES).parent)
    given = ["--features", FEATURES]
    assert export(run.root, place, *given).exit_code == 1
    assert export(run.root, place, *given).stdout.startswith("complete already")
    path.write_bytes(whole)
    done = export(run.root, place, *given)
    assert (done.exit_code, f"clip_00002 was left out (features {FEATURES}: " in done.stderr) == (2, True)
    assert export(run.root, place, *given, "--replace").stdout.startswith("exported 4 clips")
    left_out = json.loads((place / "export.json").read_text())["leftOut"]
    assert left_out == [{"clip": "clip_00003", "reason": f"has no features {FEATURES}"}]


def test_features_are_not_compared_with_those_of_a_clip_that_is_left_out(run, tmp_path):
    for index in (0, 3):
        sidecar = run.clip(index).features_sidecar(FEATURES)
        sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"weights": {"source": "others"}}))
    damage(run, 0)
    given = ["--features", FEATURES]
    assert export(run.root, tmp_path / "out", *given).exit_code == 1
    again = export(run.root, tmp_path / "out", *given)
    assert (again.exit_code, again.stdout.startswith("complete already: 3 clips")) == (1, True)
    assert f"left out: clip_00003: features {FEATURES}: made in another way than those of the first" in again.stdout


@FORMATS
def test_a_run_whose_clips_are_whole_again_is_exported_where_none_could_be(run, tmp_path, form):
    repairs, place = [damage(run, index) for index in range(4)], tmp_path / "out"
    assert export(run.root, place, form=form).exit_code == 2
    assert not place.exists()
    for repair in repairs:
        repair()
    assert export(run.root, place, form=form).stdout.startswith("exported 4 clips")


@pytest.mark.parametrize("name", ["README.md", "croissant.json"])
@pytest.mark.parametrize("how", ["--replace", "--overwrite"])
def test_what_its_author_has_written_about_an_export_is_not_removed_with_it(run, tmp_path, name, how):
    place = tmp_path / "out"
    assert export(run.root, place).exit_code == 0
    written = place / name
    before = written.read_bytes()
    written.write_bytes(before + b"\n")
    done = export(run.root, place, "--video", "h264", how)
    assert done.exit_code == 2
    assert f"{name} was edited after the export, so nothing is removed; move it elsewhere first" in done.stderr
    assert written.read_bytes() == before + b"\n"
    written.rename(tmp_path / name)
    assert export(run.root, place, "--video", "h264", how).exit_code == 0


@pytest.mark.parametrize("how", [(), ("--replace",), ("--overwrite",)])
def test_a_folder_with_another_programs_file_of_the_reports_name_is_refused_and_kept(run, tmp_path, how):
    place = tmp_path / "out"
    place.mkdir()
    (place / "export.json").write_text("not of clipfarm")
    done = export(run.root, place, *how)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "export.json" in done.stderr
    assert content(place).keys() == {"export.json"}


def test_a_card_of_an_earlier_version_which_recorded_no_hash_of_it_is_not_removed(run, tmp_path):
    place = tmp_path / "out"
    assert export(run.root, place).exit_code == 0
    report = json.loads((place / "export.json").read_text())
    del report["editable"]
    (place / "export.json").write_text(json.dumps(report | {"fingerprint": "of another version"}))
    for name in ("README.md", "croissant.json"):
        done = export(run.root, place, "--replace")
        assert done.exit_code == 2
        assert f"{name} may have been edited, which an export by an earlier version does not say" in done.stderr
        (place / name).unlink()
    assert export(run.root, place, "--replace").exit_code == 0


def test_an_export_behind_a_link_is_replaced_there(run, tmp_path):
    disk, place = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    place.symlink_to(disk)
    assert export(run.root, place).exit_code == 0
    assert export(run.root, place, "--video", "h264", "--replace").exit_code == 0
    assert (place.is_symlink(), (disk / "export.json").exists()) == (True, True)


def test_an_export_whose_removal_was_broken_off_is_removed_by_the_same_command(run, tmp_path):
    place = tmp_path / "out"
    assert export(run.root, place).exit_code == 0
    (place / "SHA256SUMS").unlink()
    done = export(run.root, place)
    assert (done.exit_code, "the removal of an export was broken off here; --replace" in done.stderr) == (2, True)
    assert export(run.root, place, "--replace").stdout.startswith("exported 4 clips")


def test_features_that_change_between_their_hash_and_their_copy_are_not_exported(run, tmp_path, monkeypatch):
    path, write, changed = run.clip(2).features(FEATURES), features._write, []

    def changes(*given):
        if not changed:
            path.write_bytes(path.read_bytes()[:-2] + b"\0\0")
            changed.append(path)
        return write(*given)

    monkeypatch.setattr(features, "_write", changes)
    done = export(run.root, tmp_path / "out", "--features", FEATURES)
    assert done.exit_code == 2
    assert "clip_00002: features changed while they were exported; the same command continues" in done.stderr
    again = export(run.root, tmp_path / "out", "--features", FEATURES)
    assert again.exit_code == 1
    assert f"left out: clip_00002: features {FEATURES}: sha256 is not the one" in again.stdout

"""An export for `webdataset` is what webdataset and `datasets` take as it is."""

import tarfile

import numpy as np
import pytest

from helpers.exports import content, export
from helpers.readers import read
from helpers.run_folder import make_run


@pytest.fixture(scope="module")
def exported(a_run, tmp_path_factory):
    place = tmp_path_factory.mktemp("export") / "tars"
    done = export(a_run.root, place, form="webdataset")
    assert done.exit_code == 0, done.stderr
    return place


def test_webdataset_and_datasets_read_every_clip(exported, a_run):
    found = read("hub", "tars", exported)
    assert [clip["clip"] for clip in found["clips"]] == [f"clip_{index:05d}" for index in range(6)]
    for index, clip in enumerate(found["clips"]):
        assert clip["members"] == ["actions.npy", "json", "mp4", "states.npy"]
        assert clip["same"]
        assert np.array_equal(np.asarray(clip["states"], np.float32), np.load(a_run.clip(index).states))
    assert found["splits"] == {
        "A1": ["clip_00000", "clip_00001", "clip_00002"],
        "slippery_floor": ["clip_00003", "clip_00004", "clip_00005"],
    }
    assert (found["kind"], found["same"]) == ("Video", True)


def test_nothing_of_the_moment_is_in_a_tar(exported):
    with tarfile.open(exported / "data" / "A1-00000-of-00001.tar") as tar:
        assert {(each.mtime, each.uid, each.gid, each.uname, each.mode) for each in tar} == {(0, 0, 0, "", 0o644)}


def test_all_clips_have_the_same_members_also_where_some_lack_a_file(tmp_path, a_run, exported):
    run = make_run(tmp_path / "run", 2)
    first = make_run(tmp_path / "other", 1, states=False).clip(0)
    run.clip(0).folder.rename(tmp_path / "moved")
    first.folder.rename(run.clip(0).folder)
    done = export(run.root, tmp_path / "out", form="webdataset")
    assert done.exit_code == 0, done.stderr
    members = set()
    for path in (tmp_path / "out" / "data").iterdir():
        with tarfile.open(path) as tar:
            members |= {name.partition(".")[2] for name in tar.getnames()}
    assert members == {"mp4", "json", "actions.npy"}


def test_the_same_run_gives_the_same_bytes(exported, a_run, tmp_path):
    assert export(a_run.root, tmp_path / "again", form="webdataset").exit_code == 0
    assert content(tmp_path / "again") == content(exported)

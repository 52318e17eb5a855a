"""Where an export goes: a store gets the same files as a folder, and an upload that was broken off continues."""

import itertools

import fsspec
import pytest

from clipfarm_export.destination import Folder, Store, destination
from clipfarm_export.errors import ExportError
from helpers.exports import content, export
from helpers.run_folder import FEATURES, make_run

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run") / "clips", 4, features=True)


@pytest.fixture
def url():
    return f"memory://bucket{next(NUMBERS)}/clips"


def stored(url, into):
    """Return the hash of every file of a store."""
    store = fsspec.filesystem("memory")
    store.get(url.removeprefix("memory://"), str(into), recursive=True)
    return content(into)


@pytest.mark.parametrize("form", ["hf", "webdataset", "lerobot"])
def test_a_store_gets_the_same_files_as_a_folder(run, url, tmp_path, form):
    arguments = ["--features", FEATURES]
    assert export(run.root, url, *arguments, form=form).exit_code == 0
    assert export(run.root, tmp_path / "folder", *arguments, form=form).exit_code == 0
    assert stored(url, tmp_path / "stored") == content(tmp_path / "folder")
    done = export(run.root, url, *arguments, form=form)
    assert (done.exit_code, done.stdout.startswith("complete already: 4 clips")) == (0, True)


def test_an_upload_that_was_broken_off_continues_with_what_is_missing(run, url, tmp_path, monkeypatch):
    uploaded, publish = [], Store.publish

    def breaks(store, made, name):
        if len(uploaded) == 3:
            raise OSError("connection reset by peer")
        publish(store, made, name)
        uploaded.append(name)

    monkeypatch.setattr(Store, "publish", breaks)
    broken = export(run.root, url)
    assert "connection reset" in str(broken.exception)
    monkeypatch.setattr(Store, "publish", lambda store, made, name: (publish(store, made, name), again.append(name)))
    again = []
    assert export(run.root, url).exit_code == 0
    finished = [name for name in uploaded if "A1" in name]  # its record is there, the next part was broken off
    assert finished
    assert not set(finished) & set(again)
    monkeypatch.undo()
    assert export(run.root, tmp_path / "folder").exit_code == 0
    assert stored(url, tmp_path / "stored") == content(tmp_path / "folder")


def test_overwrite_replaces_what_is_in_a_store(run, url, tmp_path):
    assert export(run.root, url).exit_code == 0
    assert export(run.root, url, "--previews", 1).exit_code == 2
    assert export(run.root, url, "--previews", 1, "--overwrite").exit_code == 0
    assert export(run.root, tmp_path / "folder", "--previews", 1).exit_code == 0
    assert stored(url, tmp_path / "stored") == content(tmp_path / "folder")


def test_what_a_store_refuses_is_one_line(run, monkeypatch):
    def refuses(*_):
        raise RuntimeError("AccessDenied:\n  not yours")

    store = Store("memory://bucket/clips")
    monkeypatch.setattr(store._fs, "pipe_file", refuses, raising=False)
    with pytest.raises(OSError, match=r"^memory://bucket/clips: AccessDenied: not yours; the same command continues$"):
        store.write("name", b"")


@pytest.mark.parametrize("given", ["nowhere://bucket/clips", "gs://bucket/clips"])
def test_a_store_without_its_library_is_refused(run, given):
    done = export(run.root, given)
    assert done.exit_code == 2
    assert given in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_path_and_a_file_address_are_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in ("out", f"file://{tmp_path}/out", str(tmp_path / "out")):
        found = destination(given)
        assert isinstance(found, Folder)
        assert found.root == tmp_path / "out"
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="found a file, expected a folder"):
        destination("file")

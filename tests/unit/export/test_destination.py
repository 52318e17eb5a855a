"""Where an export goes: a store gets the same files as a folder, and an upload that was broken off continues."""

import hashlib
import itertools
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from clipfarm_export.destination.folder import Folder
from clipfarm_export.destination.named import destination
from clipfarm_export.destination.store import Store
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


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("removed", [1, 4, 7])
def test_an_export_whose_removal_was_broken_off_is_still_known_for_one(
    run, url, tmp_path, monkeypatch, removed, finished
):
    assert export(run.root, url).exit_code == 0
    store = fsspec.filesystem("memory")
    if not finished:
        store.mv(f"{url}/export.json", f"{url}/.clipfarm-export/plan.json")
        store.rm_file(f"{url}/SHA256SUMS")
    left, remove = itertools.repeat(True, removed), MemoryFileSystem.rm_file

    def breaks(store, path):
        if not next(left, False):
            raise OSError("connection reset by peer")
        remove(store, path)

    monkeypatch.setattr(MemoryFileSystem, "rm_file", breaks)
    assert "connection reset" in str(export(run.root, url, "--previews", 1, "--replace").exception)
    monkeypatch.undo()
    done = export(run.root, url, "--previews", 1, "--replace")
    assert done.exit_code == 0, done.stderr
    assert export(run.root, tmp_path / "folder", "--previews", 1).exit_code == 0
    assert stored(url, tmp_path / "stored") == content(tmp_path / "folder")


def test_a_folder_whose_removal_was_broken_off_is_still_known_for_an_export(run, tmp_path, monkeypatch):
    place, removed, unlink = tmp_path / "folder", [], Path.unlink
    assert export(run.root, place).exit_code == 0

    def breaks(path, *, missing_ok=False):
        if len(removed) == 5:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", breaks)
    export(run.root, place, "--previews", 1, "--replace")
    assert len(removed) == 5
    monkeypatch.undo()
    done = export(run.root, place, "--previews", 1, "--replace")
    assert done.exit_code == 0, done.stderr


class Hub(MemoryFileSystem):
    """A store with the protocol and the paths of a hub, that has folders by its files alone."""

    protocol = "hf"
    store = {}  # noqa: RUF012 - as in the class above
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + str(path).removeprefix("hf://").strip("/")


@pytest.fixture
def hub(monkeypatch):
    """The address of a repository with the files that a hub has put into it."""
    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "hf", Hub)
    Hub.store.clear()
    made = Hub(skip_instance_cache=True)
    made.pipe_file("/datasets/you/friction/.gitattributes", b"*.parquet filter=lfs")
    made.pipe_file("/datasets/you/friction/README.md", b"---\nlicense: mit\n---\n")
    return made


HUB = "hf://datasets/you/friction"


def on_hub(hub):
    top = "/datasets/you/friction"
    return {path.removeprefix(f"{top}/"): hashlib.sha256(hub.cat_file(path)).hexdigest() for path in hub.find(top)}


def test_a_new_repository_of_a_hub_counts_as_empty_and_keeps_how_git_stores_files(run, hub, tmp_path):
    done = export(run.root, HUB)
    assert done.exit_code == 0, done.stderr
    there = on_hub(hub)
    assert hub.cat_file("/datasets/you/friction/.gitattributes") == b"*.parquet filter=lfs"
    assert export(run.root, tmp_path / "folder").exit_code == 0
    expected = content(tmp_path / "folder")
    assert there == expected | {".gitattributes": there[".gitattributes"]}
    assert done.stdout.startswith(f"exported 4 clips in {len(expected)} files")
    again = export(run.root, HUB, "--previews", 1, "--overwrite")
    assert again.exit_code == 0, again.stderr
    assert ".gitattributes" in on_hub(hub)


def test_an_upload_to_a_hub_that_was_broken_off_continues(run, hub, tmp_path, monkeypatch):
    publish, uploaded = Store.publish, []

    def breaks(store, made, name):
        uploaded.append(name)
        if len(uploaded) == 3:
            raise OSError("502 Bad Gateway")
        publish(store, made, name)

    monkeypatch.setattr(Store, "publish", breaks)
    assert "502 Bad Gateway" in str(export(run.root, HUB).exception)
    before = len(uploaded)
    assert export(run.root, HUB).exit_code == 0
    assert not {name for name in uploaded[:2] if "A1" in name} & set(uploaded[before:])
    assert export(run.root, tmp_path / "folder").exit_code == 0
    assert on_hub(hub).items() >= content(tmp_path / "folder").items()


def test_other_files_in_a_repository_are_left_alone(run, hub):
    hub.pipe_file("/datasets/you/friction/notes.txt", b"mine")
    done = export(run.root, HUB)
    assert (done.exit_code, "not empty (notes.txt)" in done.stderr) == (2, True)


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


@pytest.mark.parametrize("given", ["s3://", "hf:///", "file://"])
def test_an_address_that_names_no_place_is_refused(run, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    done = export(run.root, given)
    assert (done.exit_code, f"DEST: found {given}, expected an address such as s3://" in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_path_and_a_file_address_are_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in ("out", f"file://{tmp_path}/out", f"local://{tmp_path}/out", str(tmp_path / "out")):
        found = destination(given)
        assert isinstance(found, Folder)
        assert found.root == tmp_path / "out"
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="found a file, expected a folder"):
        destination("file")

"""Folders with anything in them are listed or refused, and removed."""

import errno
import os
from pathlib import Path

import pytest

from clipfarm_contract import tree


def test_files_are_listed_in_order_and_some_names_are_left_out(tmp_path):
    for name in ("b/c/d", "b/a", "a", "feature_maps/x", "b/feature_maps"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    assert tree.files(tmp_path, but=["feature_maps"]) == ["a", "b/a", "b/c/d", "b/feature_maps"]


def test_depth_and_length_have_limits_that_real_clips_do_not_reach(tmp_path):
    fits = tmp_path / "fits" / "/".join(["x" * 30] * tree.MOST_DEPTH) / "a"
    fits.parent.mkdir(parents=True)
    fits.touch()
    assert len(tree.files(tmp_path / "fits")) == 1
    (fits.parent / "y").mkdir()
    (fits.parent / "y" / "a").touch()
    with pytest.raises(tree.UnfitError, match="more than"):
        tree.files(tmp_path / "fits")


def dig(folder, name, depth):
    """Make folders inside each other, deeper than a path can name."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)


def test_a_folder_of_any_depth_is_removed_with_what_cannot_be_entered_and_links_are_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    dig(folder, "x", 1500)
    dig(folder, "y" * 200, 60)
    (folder / "link").symlink_to(kept)
    (folder / "shut").mkdir()
    (folder / "shut" / "file").touch()
    (folder / "shut").chmod(0)
    os.mkfifo(folder / "fifo")
    (folder / os.fsdecode(b"caf\xe9")).touch()
    tree.remove(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").exists()


def test_a_link_or_a_file_in_a_folders_place_is_removed_itself(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "file").touch()
    for name in ("link", "file", "nothing"):
        tree.remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_whose_permissions_are_not_ours_to_change_is_removed_where_it_is_open(tmp_path, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    (tmp_path / "folder" / "a" / "b").mkdir(parents=True)
    (tmp_path / "folder" / "a" / "b" / "file").touch()
    monkeypatch.setattr(Path, "chmod", refuse)
    tree.remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []

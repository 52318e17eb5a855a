"""A clip that was made again is compared with what is there, however much of that can be read."""

import errno
import os
from dataclasses import replace

import pytest

from clipfarm.local.remake import RemakeError, differences, remake
from clipfarm_contract import completing
from clipfarm_contract.layout import Clip, RunFolder
from helpers.experiments import make_recipe

RECIPE = make_recipe(frames=2, resolution=32)


@pytest.fixture
def again(tmp_path):
    """A clip as it was made again."""
    run = RunFolder(tmp_path / "again")
    attempt = Clip(run.attempt(7, "1"))
    attempt.rgb.mkdir(parents=True)
    for i in range(2):
        attempt.frame(i).write_text(f"picture {i}")
    attempt.ground_truth.write_text("{}")
    completing.complete(attempt.folder, run.clip(7), RECIPE, {})
    return run.clip(7)


@pytest.fixture
def linked(again, tmp_path, monkeypatch):
    """A copy made of links, whose clip.json cannot be read for the moment."""
    copy = Clip(tmp_path / "linked" / "clip_00007")
    copy.folder.mkdir(parents=True)
    for path in again.folder.iterdir():
        (copy.folder / path.name).symlink_to(path)
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path) == str(copy.manifest):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    return copy


def test_files_are_compared_through_links_if_clip_json_cannot_be_read(again, linked):
    assert differences(linked, again) == []
    (linked.folder / "rgb").unlink()
    linked.rgb.mkdir()
    linked.frame(0).symlink_to(again.frame(0))
    linked.frame(1).write_text("another")
    (linked.folder / "more.txt").symlink_to(again.ground_truth)
    assert differences(linked, again) == ["more.txt", "rgb/frame_00001.png"]


@pytest.mark.parametrize("module", [5, {}, {"sha256": "../../secret"}, {"sha256": "0" * 64}])
def test_a_clip_of_a_module_that_is_not_kept_is_not_made_again(tmp_path, module):
    recipe = make_recipe(frames=2, resolution=32)
    recipe = replace(recipe, experiment={**recipe.experiment, "name": "slide", "module": module})
    run = RunFolder(tmp_path / "first")
    attempt = Clip(run.attempt(7, "1"))
    attempt.folder.mkdir(parents=True)
    attempt.ground_truth.write_text("{}")
    completing.complete(attempt.folder, run.clip(7), recipe, {})
    with pytest.raises(RemakeError, match=r"recipe.experiment.module|found no readable .*/modules/0000"):
        remake(run.clip(7), RunFolder(tmp_path / "again"), "cpu")


@pytest.mark.parametrize("kind", ["FIFO", "nowhere"])
def test_what_is_no_file_is_refused_in_one_line(again, linked, kind):
    odd = linked.folder / "odd"
    os.mkfifo(odd) if kind == "FIFO" else odd.symlink_to("nowhere")
    with pytest.raises(RemakeError, match=r"cannot be compared: .*odd: ") as raised:
        differences(linked, again)
    assert len(str(raised.value).splitlines()) == 1

"""An error of reading is no damage: of a clip that cannot be read nothing is known, and it is left as it is."""

import errno
import os

import pytest

from clipfarm_contract import clip as clips
from clipfarm_contract import completing, examining
from clipfarm_contract.clip import ClipState
from clipfarm_contract.layout import RunFolder
from helpers.experiments import make_recipe

RECIPE = make_recipe(frames=2, resolution=32)
ERRORS = [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.ETIMEDOUT]


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path)
    make(run, "1")
    return run


def make(run, token):
    attempt = run.attempt(7, token)
    attempt.mkdir()
    (attempt / "a.txt").write_text("a")
    completing.complete(attempt, run.clip(7), RECIPE, {})


@pytest.fixture
def refuse(monkeypatch):
    """Let a call on a path fail."""

    def refuse(module, call, end, number):
        allowed = getattr(module, call)

        def called(path, *arguments, **options):
            if str(path).endswith(end):
                raise OSError(number, os.strerror(number), str(path))
            return allowed(path, *arguments, **options)

        monkeypatch.setattr(module, call, called)

    return refuse


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize(
    ("call", "end", "name"),
    [("open", "clip.json", "clip.json: "), ("stat", "a.txt", "a.txt: "), ("stat", "clip_00007", "")],
)
def test_a_clip_that_cannot_be_read_is_neither_complete_nor_damaged(run, refuse, call, end, name, number):
    refuse(os, call, end, number)
    found = clips.inspect(run.clip(7), RECIPE)
    reason = f"{name}{os.strerror(number)} ({errno.errorcode[number]})"
    assert (found.state, found.reason) == (ClipState.UNREADABLE, reason)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR, errno.ELOOP])
def test_a_file_that_is_not_there_is_damage(run, refuse, number):
    refuse(os, "open", "clip.json", number)
    assert clips.inspect(run.clip(7), RECIPE).state is ClipState.DAMAGED
    assert examining.examine(run.clip(7)).wrong


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("end", ["clip.json", "a.txt"])
def test_what_could_not_be_read_is_listed_apart_from_what_is_wrong(run, refuse, end, number):
    refuse(os, "open", end, number)
    found = examining.examine(run.clip(7))
    assert (found.wrong, found.unread) == ([], [f"{end}: {os.strerror(number)} ({errno.errorcode[number]})"])


def test_a_clip_that_cannot_be_read_is_not_replaced(run, refuse):
    before = run.clip(7).folder.lstat().st_ino
    refuse(os, "open", "clip_00007/clip.json", errno.EIO)
    with pytest.raises(FileExistsError, match=r"clip_00007: clip.json: Input/output error \(EIO\); left as it is"):
        make(run, "2")
    assert run.clip(7).folder.lstat().st_ino == before

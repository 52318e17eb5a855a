import shutil

import numpy as np
import pytest
from rich.console import Console

from clipfarm_contract.clip import discard
from clipfarm_contract.layout import RunFolder
from clipfarm_encode.clips import find_clips
from clipfarm_encode.features import Recipe, save
from clipfarm_encode.progress import Reporter
from clipfarm_encode.selection import Destination, first, survey, watch
from unit.encode.made_up import make_clip

RECIPE = Recipe("m", {"source": "random", "sha256": "00", "key": None}, "float16", {"crop": 32}, "float32")


@pytest.fixture
def destination():
    return Destination(RECIPE, out_dir=None, overwrite=False)


@pytest.fixture
def reporter():
    return Reporter(RECIPE, "cpu", None, Console(quiet=True))


def give_features(clip):
    save(np.zeros((2, 3), np.float16), 4, clip, RECIPE)


def finish(root):
    RunFolder(root).state.mkdir(exist_ok=True)
    RunFolder(root).all_rendered.touch()


def names(yielded):
    return [found.name if found else None for found in yielded]


def test_a_watched_folder_yields_clips_as_they_come_and_ends_at_the_marker(tmp_path, destination, reporter):
    events = [
        lambda: make_clip(tmp_path, 0),
        lambda: None,
        lambda: (make_clip(tmp_path, 2), make_clip(tmp_path, 1)),
        lambda: (make_clip(tmp_path, 3), finish(tmp_path)),
    ]
    steps = iter(events)
    yielded = watch(tmp_path, destination, reporter, sleep=lambda _: next(steps)())
    assert names(yielded) == [None, "clip_00000", None, None, "clip_00001", "clip_00002", None, "clip_00003", None]
    assert len(reporter.tally.found) == 4


def test_watching_skips_what_has_features_and_waits_for_what_is_not_complete(tmp_path, destination, reporter):
    give_features(make_clip(tmp_path, 0))
    (tmp_path / "clip_00001").mkdir()
    (tmp_path / ".clip_00002.x").mkdir()
    finish(tmp_path)
    assert names(watch(tmp_path, destination, reporter)) == [None]
    assert reporter.tally.found == reporter.tally.skipped == {"clip_00000"}


def test_a_clip_that_another_has_replaced_gets_another_turn(tmp_path, destination, reporter):
    give_features(make_clip(tmp_path, 0))

    def replace():
        discard(tmp_path / "clip_00000")
        make_clip(tmp_path, 1)  # takes the freed inode, where the filesystem gives it out again at once
        make_clip(tmp_path, 0)
        finish(tmp_path)

    assert names(watch(tmp_path, destination, reporter, sleep=lambda _: replace())) == [
        None,
        "clip_00000",
        "clip_00001",
        None,
    ]
    assert len(reporter.tally.found) == 2


def test_a_clip_that_vanishes_and_comes_again_gets_another_turn(tmp_path, destination, reporter):
    make_clip(tmp_path, 0)
    events = iter(
        [
            lambda: shutil.rmtree(tmp_path / "clip_00000"),
            lambda: (make_clip(tmp_path, 0), finish(tmp_path)),
        ]
    )
    yielded = watch(tmp_path, destination, reporter, sleep=lambda _: next(events)())
    assert names(yielded) == ["clip_00000", None, None, "clip_00000", None]
    assert reporter.tally.found == {"clip_00000"}


def test_features_made_otherwise_that_turn_up_while_watching_are_a_failure(tmp_path, destination, reporter):
    clip = make_clip(tmp_path, 0)
    give_features(clip)
    clip.features_sidecar("m").unlink()
    finish(tmp_path)
    assert names(watch(tmp_path, destination, reporter)) == [None]
    assert list(reporter.tally.failures) == ["clip_00000"]


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, [1, None, 2, 3]), (1, [1]), (2, [1, None, 2]), (9, [1, None, 2, 3])]
)
def test_a_limit_counts_clips_and_not_pauses(limit, expected):
    assert list(first(limit, iter([1, None, 2, 3]))) == expected


def test_a_survey_sorts_clips_by_their_features(tmp_path, destination):
    clips = [make_clip(tmp_path, i) for i in range(3)]
    give_features(clips[0])
    give_features(clips[1])
    clips[1].features_sidecar("m").unlink()
    found = survey(find_clips(tmp_path), destination)
    assert names(found.done) == ["clip_00000"]
    assert [each.name for each, _ in found.other] == ["clip_00001"]
    assert names(found.pending) == ["clip_00002"]
    again = survey(find_clips(tmp_path), Destination(RECIPE, None, overwrite=True))
    assert len(again.pending) == 3

import pytest

from clipfarm_encode.files.finding import Found, find_clips
from clipfarm_encode.selection import Destination, Once, Turn, first, survey
from unit.encode.made_up import make_clip
from unit.encode.shared import RECIPE, give_features


def names(yielded):
    return [found.name for found in yielded]


class Yielding:
    """A source that yields clips of sets, by their names and numbers, and notes those that were not wanted."""

    def __init__(self, *turns):
        self.turns, self.passed_over = turns, []

    def __iter__(self):
        for turn in self.turns:
            yield turn and Turn(Found(turn[:-1], 0, None), int(turn[-1]))

    def settled(self, turn, *, unread=False):
        self.passed_over.append(f"{turn.found.name}{turn.number}")


@pytest.mark.parametrize(("limit", "expected"), [(None, "a0 - b0 c0"), (1, "a0"), (2, "a0 - b0"), (9, "a0 - b0 c0")])
def test_a_limit_counts_clips_and_not_pauses(limit, expected):
    found = first(limit, Yielding("a0", None, "b0", "c0"))
    assert " ".join(f"{turn.found.name}{turn.number}" if turn else "-" for turn in found) == expected


def test_a_limit_counts_the_clips_of_each_set():
    source = Yielding("a0", "b0", "c0", "a1", "b1", "c1")
    assert [f"{turn.found.name}{turn.number}" for turn in first(2, source, sets=2)] == ["a0", "b0", "a1", "b1"]
    assert source.passed_over == ["c0"]


def test_a_survey_sorts_clips_by_their_features(tmp_path, destination):
    clips = [make_clip(tmp_path, i) for i in range(3)]
    give_features(clips[0])
    give_features(clips[1])
    clips[1].features_sidecar("m").unlink()
    found = survey(find_clips(tmp_path), destination)
    assert names(found.done) == ["clip_00000"]
    assert [each.name for each, _ in found.other] == ["clip_00001"]
    assert names(found.pending) == ["clip_00002"]
    replacing = survey(find_clips(tmp_path), Destination(RECIPE, None, overwrite=True))
    assert names(replacing.pending) == ["clip_00001", "clip_00002"]


@pytest.mark.parametrize(("again", "expected"), [(False, ["clip_00001"]), (True, ["clip_00000", "clip_00001"])])
def test_once_means_the_clips_without_features_or_all(tmp_path, destination, reporter, again, expected):
    give_features(make_clip(tmp_path, 0))
    make_clip(tmp_path, 1)
    source = Once([(survey(find_clips(tmp_path), destination), reporter.sets[0])], again=again)
    assert [turn.found.name for turn in source] == expected
    assert len(reporter.tally.found) == 2
    assert len(reporter.tally.skipped) == 2 - len(expected)

import pytest

from clipfarm_encode.files.clips import find_clips
from clipfarm_encode.selection import Destination, Once, first, survey
from unit.encode.made_up import make_clip
from unit.encode.shared import RECIPE, give_features


def names(yielded):
    return [found.name if found else None for found in yielded]


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
    replacing = survey(find_clips(tmp_path), Destination(RECIPE, None, overwrite=True))
    assert names(replacing.pending) == ["clip_00001", "clip_00002"]


@pytest.mark.parametrize(("again", "expected"), [(False, ["clip_00001"]), (True, ["clip_00000", "clip_00001"])])
def test_once_means_the_clips_without_features_or_all(tmp_path, destination, reporter, again, expected):
    give_features(make_clip(tmp_path, 0))
    make_clip(tmp_path, 1)
    source = Once(survey(find_clips(tmp_path), destination), reporter, again=again)
    assert names(source) == expected
    assert len(reporter.tally.found) == 2
    assert len(reporter.tally.skipped) == 2 - len(expected)

"""How clips are dealt out to a Job's indexes."""

import pytest

from clipfarm.manifests.blocks import MOST_INDEXES, Blocks
from clipfarm.packed import pack
from clipfarm_contract.indexes import Indexes
from helpers.runs import make_run


@pytest.mark.parametrize(
    ("clips", "per_pod", "count", "last"),
    [(10, 1, 10, [9]), (10, 3, 4, [9]), (9, 3, 3, [6, 7, 8]), (2, 5, 1, [0, 1])],
)
def test_an_index_makes_a_block_of_clips_and_the_last_may_be_smaller(clips, per_pod, count, last):
    blocks = Blocks.of(make_run(clips, render={"clipsPerPod": per_pod}))
    assert (blocks.count, blocks.of_index(count - 1), blocks.size(count - 1)) == (count, last, len(last))
    everything = Indexes.parse(f"0-{count - 1}")
    assert blocks.clips_in(everything) == clips
    assert sorted(clip for index in range(count) for clip in blocks.of_index(index)) == list(range(clips))


def test_more_clips_than_a_job_has_indexes_make_larger_blocks():
    blocks = Blocks.of(make_run(MOST_INDEXES * 2 + 1))
    assert (blocks.per_index, blocks.count) == (3, 66_667)
    assert blocks.count <= MOST_INDEXES


def test_a_run_may_be_left_with_some_of_its_clips():
    blocks = Blocks.of(make_run(100, render={"clipsPerPod": 2}), only="3,17-19,99")
    assert [blocks.of_index(index) for index in range(blocks.count)] == [[3, 17], [18, 19], [99]]
    assert blocks.clips_in(Indexes.parse("0,2")) == 3


def test_many_separate_clips_are_dealt_out_in_order():
    blocks = Blocks.of(make_run(100_000, render={"clipsPerPod": 3}), only=",".join(map(str, range(1, 100_000, 2))))
    assert (blocks.count, blocks.of_index(0), blocks.of_index(16_666)) == (16_667, [1, 3, 5], [99_997, 99_999])


def test_a_list_that_fits_into_no_config_map_is_refused():
    with pytest.raises(ValueError, match=r"found 450000 clips in 450000 separate ranges, which take 3150 KB"):
        Blocks.of(make_run(1_000_000), only=pack(Indexes.of(range(100_000, 1_000_000, 2))))


@pytest.mark.parametrize("only", ["100", "5,200", "x"])
def test_clips_of_no_run_are_refused(only):
    with pytest.raises(ValueError, match=r"annotation clipfarm.dev/only-clips: found .*, expected clips from 0 to 99"):
        Blocks.of(make_run(100), only=only)

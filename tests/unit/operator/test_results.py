"""What pods that were deleted have left, in an annotation of their Job."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.observing import results
from clipfarm.cluster.observing.results import Failed, Results
from clipfarm.decide.vram.learned import KEPT, LearnedMemory
from clipfarm.manifests.blocks import Blocks
from clipfarm.world import ClipMemory
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.result import VramUse
from helpers.runs import make_run

KEY = ("ns", "test")
MEMORY = ClipMemory(3000.0, 2500.0, 2000.0, 100.0, 7.5, 41)


def failed(index: int, reason: str = "no beans", code: ExitCode = ExitCode.FAILED, **fields) -> FailedPod:
    return FailedPod(f"uid-{index}", KEY, "job-1", index, code, reason, 5.0, 1, disrupted=False, **fields)


def test_what_is_written_is_read_again():
    kept = Results(
        MEMORY,
        Indexes.of(range(0, 1000, 2)),
        (Failed(ExitCode.OUT_OF_VRAM, "é", Indexes.parse("3,7")), Failed(ExitCode.FAILED, "x", Indexes.parse("1"))),
    )
    assert results.read(kept.text()) == kept
    assert len(kept.text()) < 500
    assert results.read(Results().text()) == results.read("") == Results()


@pytest.mark.parametrize(
    "text",
    [
        "beans",
        "[]",
        '{"memory": 1}',
        '{"deleting": "a"}',
        json.dumps({"memory": {"clips": 0}}),
        '{"deleting": "0-99999999999"}',
        '{"deleting": "0-99999"}',
        json.dumps({"failed": [{"exitCode": 1, "reason": "", "indexes": "0-99999"}] * 2}),
        '{"failed": [{"exitCode": 99, "reason": "", "indexes": "1"}]}',
        '{"failed": [{"exitCode": 1, "reason": "", "indexes": "1", "done": {"a": 1}}]}',
        '{"failed": [{"exitCode": 1, "reason": "", "indexes": "1", "done": {"1": []}}]}',
    ],
)
def test_what_somebody_else_wrote_says_nothing(text):
    assert results.read(text) == Results()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "memory": JSON | st.dictionaries(st.sampled_from([each.name for each in dataclasses.fields(ClipMemory)]), JSON),
        "deleting": JSON,
        "failed": st.lists(
            st.fixed_dictionaries({}, optional=dict.fromkeys(("exitCode", "reason", "indexes", "clips", "done"), JSON))
        ),
    },
)


@given(st.text() | st.builds(json.dumps, JSON | PARTS))
def test_whatever_stands_there_nothing_is_raised(text):
    found = results.read(text)
    assert results.pods(found.failed, "job-1", KEY, Blocks.of(make_run(10))).keys() <= set(range(10))


def test_failed_clips_are_as_they_were_also_in_blocks():
    blocks = Blocks.of(make_run(12, render={"clipsPerPod": 4}))
    pods = {
        0: failed(0, clips=((1, "no beans"), (3, "no beans")), done=2),
        1: failed(1, done=3),  # it had no room to say which ones
        2: failed(2, "killed"),  # nor to say anything
    }
    _come_back(pods, blocks)


def test_a_block_that_broke_off_and_a_clip_that_is_complete_all_the_same_keep_their_counts():
    blocks = Blocks.of(make_run(20, render={"clipsPerPod": 10}))
    _come_back({0: failed(0, clips=((1, "no beans"),), done=1)}, blocks)
    _come_back({0: failed(0, done=1), 1: failed(1, done=0)}, Blocks.of(make_run(2)))


def _come_back(pods: dict[int, FailedPod], blocks: Blocks) -> None:
    found = results.read(Results(failed=results.grouped(pods, blocks)).text()).failed
    again = results.pods(found, "job-1", KEY, blocks)
    assert {index: (pod.reason, pod.clips, pod.done) for index, pod in again.items()} == {
        index: (pod.reason, pod.clips, pod.done) for index, pod in pods.items()
    }


def test_reasons_that_are_alike_take_no_more_room_than_one():
    blocks = Blocks.of(make_run(50_000))
    pods = {index: failed(index, f"no bean for clip {index}") for index in range(0, 50_000, 3)}
    groups = results.grouped(pods, blocks)
    assert [(each.reason, each.indexes.count) for each in groups] == [("no bean for clip 0", len(pods))]
    assert len(Results(failed=groups).text()) < results.MOST_TEXT / 10


def told(clips: range) -> list[VramUse]:
    return [VramUse(1000.0 + clip, 500.0 + clip, clip % 7, 2.0 + clip % 3) for clip in clips]


@pytest.mark.parametrize(("before", "after"), [(1, 1), (30, 10), (150, 50)])
def test_a_memory_that_goes_on_in_another_process_is_the_same_as_in_one(before, after):
    one, first, second = LearnedMemory(), LearnedMemory(), LearnedMemory()
    one.add("a", told(range(before)))
    first.add("a", told(range(before)))
    summary = first.summary()
    assert summary is not None
    second.restore(summary)
    assert second.summary() == summary
    for memory in (one, second):
        memory.add("b", told(range(before, before + after)))
    whole, joined = one.summary(), second.summary()
    assert whole is not None
    assert joined is not None
    assert (joined.clips, joined.peak_mib) == (whole.clips, whole.peak_mib)
    assert joined.mean_mib == pytest.approx(whole.mean_mib)
    assert joined.average_mib == pytest.approx(whole.average_mib)
    assert joined.deviation_mib == pytest.approx(whole.deviation_mib)
    assert joined.allocated_after == pytest.approx(whole.allocated_after)


def test_clips_of_long_ago_count_for_the_largest_alone():
    memory = LearnedMemory()
    memory.restore(ClipMemory(9000.0, 9000.0, 9000.0, 0.0, 60.0, 10_000))
    memory.add("a", told(range(KEPT)))
    summary = memory.summary()
    assert summary is not None
    assert (summary.peak_mib, summary.clips) == (9000.0, 10_000 + KEPT)
    assert summary.mean_mib < 1300

"""The termination message: what a supervisor writes is what an operator reads, of this version and of a later one."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm_contract.bounds import LAST_CLIP
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError
from clipfarm_contract.result import ClipResult, GpuReading, VramUse, Way
from clipfarm_contract.termination import MAX_BYTES, ClipEnd, Termination

USE = VramUse(3700.0, 3600.5, 20.0, 3.1, Way.PROCESS)
GPU = GpuReading("GPU-a", "7", 2400.5, 24000.0, 1.7e9)
COMPLETE = ClipResult(3, ExitCode.OK, "", {"render": 2.0004, "total": 3.5}, 2.25, 512.04, USE)
FAILED = ClipResult(4, ExitCode.FAILED, "it never moved", {"total": 1.0}, 0.5, 100.0)

WRITTEN = (
    '{"clips":[{"index":3,"exitCode":0,"reason":"","seconds":{"render":2.0,"total":3.5},"cpuSeconds":2.25,'
    '"peakRssMiB":512.0,"vram":{"peakMiB":3700.0,"averageMiB":3600.5,"deviationMiB":20.0,"allocatedAfter":3.1,'
    '"by":"process"},"skipped":true},{"index":4,"exitCode":1,"reason":"it never moved","seconds":{"total":1.0},'
    '"cpuSeconds":0.5,"peakRssMiB":100.0}],"gpu":{"uuid":"GPU-a","instance":"7","usedMiB":2400.5,"totalMiB":24000.0,'
    '"at":1700000000.0}}'
)


def test_a_message_is_these_bytes():
    clips = [ClipEnd.of(COMPLETE, skipped=True), ClipEnd.of(FAILED, skipped=False)]
    assert Termination.of(clips, GPU).dump() == WRITTEN


def test_what_was_written_is_read_back():
    read = Termination.parse(WRITTEN)
    assert read.dump() == WRITTEN
    assert (read.done, read.failed, read.gpu) == (1, 1, GPU)
    complete, failed = read.clips
    assert (complete.index, complete.exit_code, complete.vram, complete.skipped) == (3, 0, USE, True)
    assert (failed.index, failed.exit_code, failed.reason, failed.vram) == (4, 1, "it never moved", None)


NUMBERS = st.floats(0, 1e6)
ENDS = st.builds(
    ClipEnd,
    index=st.integers(0, LAST_CLIP),
    exit_code=st.sampled_from([0, 1, 2, 64]),
    again=st.booleans(),
    reason=st.text(max_size=300),
    seconds=st.none() | st.dictionaries(st.text(max_size=9), NUMBERS, max_size=3),
    cpu_seconds=st.none() | NUMBERS,
    peak_rss_mib=st.none() | NUMBERS,
    vram=st.none() | st.just(USE),
    skipped=st.booleans(),
)


@given(st.lists(ENDS, max_size=80), st.none() | st.just(GPU))
def test_of_any_block_the_message_fits_and_counts_all_clips(clips, gpu):
    text = Termination.of(clips, gpu).dump()
    assert len(text.encode()) <= MAX_BYTES
    read = Termination.parse(text)
    assert (read.done + read.failed, read.gpu) == (len(clips), gpu)
    assert read.failed == sum(clip.exit_code != 0 for clip in clips)
    if read.clips is not None:
        expected = [(clip.index, clip.exit_code, clip.again) for clip in clips]
        assert [(clip.index, clip.exit_code, clip.again) for clip in read.clips] == expected


@pytest.mark.parametrize(
    ("clips", "kept", "named"),
    [(2, 2, True), (13, 13, True), (20, 8, True), (60, 8, True), (130, 3, True), (200, 8, False), (5_000, 8, False)],
)
def test_the_memory_of_some_clips_stays_in_a_message_about_many(clips, kept, named):
    ends = [
        ClipEnd.of(replace(COMPLETE, index=10_000 + i, vram=replace(USE, peak_mib=3000.0 + i)), skipped=False)
        for i in range(clips)
    ]
    read = Termination.parse(Termination.of(ends).dump())
    peaks = [use.peak_mib for use in read.vram]
    assert (len(peaks), read.clips is not None, read.done) == (kept, named, clips)
    assert (min(peaks), max(peaks)) == (3000.0, 3000.0 + clips - 1)


def test_an_odd_sample_of_memory_is_unknown():
    assert Termination.parse('{"done": 3, "failed": 0, "vram": [{"peakMiB": -1}]}') == Termination(None, 3)


def test_what_a_later_version_adds_is_passed_over():
    document = json.loads(WRITTEN) | {"node": "a"}
    document["clips"][0] |= {"host": [1], "exitCode": 7}
    document["clips"][0]["vram"] |= {"pages": 3}
    document["gpu"] |= {"temperature": 60}
    read = Termination.parse(json.dumps(document))
    assert (read.clips[0].exit_code, read.clips[0].vram, read.gpu, read.failed) == (7, USE, GPU, 2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("killed", "message: not JSON"),
        ("[]", "message: found [], expected an object"),
        ('{"clips": 3}', "message.clips: found 3, expected a list"),
        ('{"clips": [3]}', "message.clips[0]: found 3, expected an object"),
        ('{"clips": [{"exitCode": 0}]}', "message.clips[0].index: missing, expected a whole number"),
        ('{"clips": [{"index": -1, "exitCode": 0}]}', "message.clips[0].index: found -1, expected 0 to 10000000"),
        ('{"clips": [{"index": 1, "exitCode": "0"}]}', 'message.clips[0].exitCode: found "0", expected a whole number'),
        (
            '{"clips": [{"index": 1, "exitCode": 1, "seconds": {"total": "long"}}]}',
            'message.clips[0].seconds.total: found "long", expected a number',
        ),
        ('{"done": 1e3}', "message.done: found 1000.0, expected a whole number"),
        ('{"done": ' + "9" * 90 + "}", f"message.done: found {'9' * 57}..., expected 0 to 10000000"),
    ],
)
def test_what_is_no_message_is_refused_by_its_field(text, problem):
    with pytest.raises(ContractError) as refused:
        Termination.parse(text)
    assert str(refused.value).startswith(problem)


@pytest.mark.parametrize("odd", [3, {}, {"peakMiB": -1}, {"by": "guess"}, None])
def test_memory_that_cannot_be_is_unknown_and_the_clips_count_all_the_same(odd):
    document = json.loads(WRITTEN)
    use = document["clips"][0]["vram"]
    document["clips"][0]["vram"] = use | odd if isinstance(odd, dict) and odd else odd
    document["gpu"] = odd
    read = Termination.parse(json.dumps(document))
    assert ([clip.vram for clip in read.clips], read.gpu, read.done, read.failed) == ([None, None], None, 1, 1)

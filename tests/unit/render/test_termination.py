import json

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.result import ClipResult, GpuReading
from clipfarm_contract.termination import MAX_BYTES, Termination
from clipfarm_render.supervising.attempt import Outcome
from clipfarm_render.supervising.termination import message


def outcome(index, reason="", *, skipped=False):
    code = ExitCode.FAILED if reason else ExitCode.OK
    seconds = {"import": 2.1, "simulate": 0.2, "render": 200.0, "save": 0.3, "total": 203.0}
    return Outcome(ClipResult(index, code, reason, seconds, 210.0, 512.0), skipped)


def test_a_small_block_is_told_in_full():
    told = json.loads(message([outcome(0), outcome(1, "timed out after 600 s"), outcome(2, skipped=True)]))
    first, second, third = told["clips"]
    assert first["peakRssMiB"] == 512.0
    assert second["reason"] == "timed out after 600 s"
    assert third["skipped"] is True


def test_whatever_the_block_the_message_fits():
    for count in (1, 10, 30, 60, 100, 300, 3000):
        for reason in ("", "x" * 30, "ä" * 5000):
            text = message([outcome(i, reason) for i in range(count)])
            assert len(text.encode()) <= MAX_BYTES
            json.loads(text)


def test_a_long_reason_is_cut_before_anything_else_is_left_out():
    (clip,) = json.loads(message([outcome(0, "x" * 5000)]))["clips"]
    assert clip["reason"] == "x" * 200
    assert clip["seconds"]["render"] == 200.0


def test_a_huge_block_still_says_how_many_failed():
    told = json.loads(message([outcome(i, "broken" if i % 3 == 0 else "") for i in range(3000)]))
    assert told == {"done": 2000, "failed": 1000}


def test_the_memory_of_the_gpu_is_told_of_a_block_of_any_size():
    gpu = GpuReading("GPU-8a5b1f0c-6b0e-4d0a-9a3e-0c1d2e3f4a5b", "13", 71234.5, 81559.0, 1.8e9)
    for count in (0, 1, 30, 100, 3000):
        text = message([outcome(i, "ä" * 5000) for i in range(count)], gpu)
        assert len(text.encode()) <= MAX_BYTES
        assert GpuReading.parse(json.loads(text)["gpu"], "gpu") == gpu


SLOW = ("the image has no kernels for sm_90, so the driver compiles them", "clips that share a GPU take turns")


def test_what_is_slow_is_told_of_a_block_of_any_size_whose_clips_are_complete():
    for count in (1, 30, 100, 130, 3000):
        text = message([outcome(i) for i in range(count)], None, SLOW)
        assert len(text.encode()) <= MAX_BYTES
        found = Termination.parse(text)
        assert (found.slow, found.done, found.failed) == (SLOW, count, 0)


def test_which_clips_have_failed_matters_more_than_what_is_slow():
    long = ["x" * 300, "y" * 300]
    found = Termination.parse(message([outcome(i, "broken" if i % 2 else "") for i in range(145)], None, long))
    assert found.slow == ()
    assert [clip.index for clip in found.clips if clip.exit_code] == list(range(1, 145, 2))


def test_lines_about_what_is_slow_are_few_and_short_whoever_wrote_them():
    assert Termination.parse(json.dumps({"done": 1, "slow": ["x" * 5000, 7, "y", "z"]})).slow == ("x" * 300, "y")
    assert Termination.parse('{"done": 1, "slow": "none"}').slow == ()
    whole = message([outcome(0)], None, ["ä" * 5000] * 9)
    assert len(whole.encode()) <= MAX_BYTES

"""Several clips, one supervisor."""

import json

import pytest

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.termination import Termination

from .conftest import python

WRITE = "pathlib.Path(folder, 'made').write_text(os.environ['CLIP_INDEX'])"
FAIL_1 = "index = int(os.environ['CLIP_INDEX']); index == 1 and sys.exit(1)"
COUNT = "open(os.environ['COUNTER'], 'a').write(os.environ['CLIP_INDEX'] + ' ')"


def test_a_failed_clip_does_not_stop_the_others_of_its_block(supervise):
    ended = supervise(*python(f"{FAIL_1}; {WRITE}"), count=3)
    assert ended.code == ExitCode.FAILED
    assert ended.run.clips() == [0, 2]
    assert [ended.result(i).exit_code for i in range(3)] == [0, 1, 0]


def test_one_clip_out_of_vram_makes_the_block_worth_another_try(supervise):
    code = "index = int(os.environ['CLIP_INDEX']); index and sys.exit(index)"
    ended = supervise(*python(f"{code}; {WRITE}"), count=3)
    assert [ended.result(i).exit_code for i in range(3)] == [0, 1, 2]
    assert ended.code == ExitCode.OUT_OF_VRAM


def test_only_what_is_missing_is_made_when_a_block_runs_again(supervise, monkeypatch, tmp_path):
    monkeypatch.setenv("COUNTER", str(counter := tmp_path / "counter"))
    flag = tmp_path / "flag"
    program = python(f"{COUNT}; os.path.exists('{flag}') or os.environ['CLIP_INDEX'] != '1' or sys.exit(1); {WRITE}")
    assert supervise(*program, count=3).code == ExitCode.FAILED
    kept = supervise.run.result(0).read_bytes()
    flag.touch()
    message = tmp_path / "message"
    ended = supervise(*program, count=3, options=["--termination-message", message])
    assert ended.code == ExitCode.OK
    assert counter.read_text().split() == ["0", "1", "2", "1"]
    assert sum("complete already, skipped" in line for line in ended.lines) == 2
    assert ended.run.result(0).read_bytes() == kept, "a skipped clip keeps its earlier result"
    clips = json.loads(message.read_text())["clips"]
    assert [clip.get("skipped", False) for clip in clips] == [True, False, True]
    assert [clip["exitCode"] for clip in clips] == [0, 0, 0]
    assert clips[0]["seconds"]["total"] > 0, "a skipped clip tells what it took when it was made"


def test_clips_of_a_block_are_those_of_single_runs(supervise, tmp_path):
    keep = "pathlib.Path(folder, 'seed').write_text(os.environ['CLIP_SEED'])"
    block = supervise(*python(keep), index=3, count=2)
    seeds = {i: (block.run.clip(i).folder / "seed").read_text() for i in (3, 4)}
    assert seeds[3] != seeds[4]
    single = type(supervise)(tmp_path)
    single.run = type(supervise.run)(tmp_path / "single")
    single(*python(keep), index=4)
    assert (single.run.clip(4).folder / "seed").read_text() == seeds[4]


@pytest.mark.parametrize(
    ("ranges", "block", "count", "made"),
    [("3-4,9", 0, 2, [3, 4]), ("3-4,9", 1, 2, [9]), ("0-99", 7, 1, [7])],
)
def test_a_pod_makes_the_block_of_clips_that_its_index_names(supervise, ranges, block, count, made):
    ended = supervise(*python(WRITE), index=None, count=count, options=["--clips", ranges, "--block", block])
    assert (ended.code, ended.run.clips()) == (ExitCode.OK, made)


def test_a_list_of_clips_may_come_as_a_file(supervise, tmp_path):
    ranges = tmp_path / "clips"
    ranges.write_text("3-4,9\n")
    ended = supervise(*python(WRITE), index=None, count=2, options=["--clips-from", ranges, "--block", 1])
    assert (ended.code, ended.run.clips()) == (ExitCode.OK, [9])


SAY_AND_FAIL = "sys.exit(f'clip {os.environ[\"CLIP_INDEX\"]}: no bean')"
GIVE_UP = ["--clips", "0-9", "--give-up-after", 3, "--block"]


class TestGivingUp:
    def test_a_block_whose_first_clips_fail_alike_leaves_the_others_untried(self, supervise, tmp_path):
        message = tmp_path / "message"
        options = [*GIVE_UP, 0, "--termination-message", message]
        ended = supervise(*python(SAY_AND_FAIL), index=None, count=5, options=options)
        assert ended.code == ExitCode.GAVE_UP
        said = "the last 3 clips failed alike, and no clip of the run is complete: 2 of this block are not tried"
        assert f"clipfarm-render: {said}" in ended.lines
        told = Termination.parse(message.read_text())
        assert [(clip.index, clip.exit_code) for clip in told.clips] == [(0, 1), (1, 1), (2, 1)]
        assert "clip 1: no bean" in told.clips[1].reason

    def test_the_variable_that_a_pod_has_says_when(self, supervise, monkeypatch):
        monkeypatch.setenv("CLIPFARM_GIVE_UP_AFTER", "2")
        ended = supervise(*python(f"'CLIPFARM_GIVE_UP_AFTER' in os.environ and sys.exit(9); {SAY_AND_FAIL}"), count=4)
        assert ended.code == ExitCode.GAVE_UP
        assert "no bean" in ended.result(1).reason
        assert not ended.run.result(2).exists()

    @pytest.mark.parametrize(
        ("program", "complete"),
        [
            (SAY_AND_FAIL, 7),  # another pod has made a clip of the run
            (f"{SAY_AND_FAIL} if int(os.environ['CLIP_INDEX']) else {WRITE}", None),
            ("sys.exit('abcde'[int(os.environ['CLIP_INDEX'])])", None),
        ],
    )
    def test_all_are_tried_once_a_clip_is_complete_or_if_they_fail_in_different_ways(
        self, supervise, program, complete
    ):
        if complete is not None:
            supervise(*python(WRITE), index=complete)
        ended = supervise(*python(program), index=None, count=5, options=[*GIVE_UP, 0])
        assert ended.code == ExitCode.FAILED
        assert ended.run.result(4).exists()

    def test_a_clip_of_another_run_in_the_same_folder_does_not_count(self, supervise):
        supervise(*python(WRITE), index=12)
        assert supervise(*python(SAY_AND_FAIL), index=None, count=5, options=[*GIVE_UP, 1]).code == ExitCode.GAVE_UP

    def test_the_last_clip_is_no_reason_to_leave_any_out(self, supervise):
        assert supervise(*python(SAY_AND_FAIL), index=None, count=3, options=[*GIVE_UP, 0]).code == ExitCode.FAILED

    def test_if_gpu_memory_ran_out_the_block_says_so(self, supervise):
        ended = supervise(*python("sys.exit(2)"), index=None, count=5, options=[*GIVE_UP, 0])
        assert ended.code == ExitCode.OUT_OF_VRAM
        assert not ended.run.result(3).exists()


RAN_OUT = "index in map(int, os.environ['RAN_OUT'].split()) and sys.exit(2)"
SCARCE = f"index = int(os.environ['CLIP_INDEX']); {COUNT}; {RAN_OUT}; index == 3 and sys.exit('black'); {WRITE}"


class TestOutOfGpuMemory:
    """A block breaks off at the first clip that ran out; the next pod of its Job goes on there."""

    @pytest.fixture
    def block(self, supervise, monkeypatch, tmp_path):
        """Run a pod of a Job with the block of six clips, of which some run out; return what it tried and told, too."""
        monkeypatch.setenv("COUNTER", str(counter := tmp_path / "counter"))
        message = tmp_path / "message"

        def run(ran_out, *, job="job-1", limit=1):
            monkeypatch.setenv("RAN_OUT", ran_out)
            monkeypatch.setenv("CLIPFARM_JOB", job)
            monkeypatch.setenv("CLIPFARM_RETRY_LIMIT", str(limit))
            counter.write_text("")
            ended = supervise(*python(SCARCE), count=6, options=["--termination-message", message])
            return ended, counter.read_text().split(), Termination.parse(message.read_text()).clips

        return run

    def test_without_a_count_the_first_clip_that_runs_out_ends_the_block_with_2(self, supervise):
        ended = supervise(*python(f"int(os.environ['CLIP_INDEX']) == 1 and sys.exit(2); {WRITE}"), count=4)
        assert ended.code == ExitCode.OUT_OF_VRAM
        assert ended.run.clips() == [0]
        assert not ended.run.result(2).exists()
        assert ended.result(1).attempts is None, "nothing is counted"
        assert (
            "clipfarm-render: GPU memory ran out, so the block ends here: 2 of this block are not tried" in ended.lines
        )

    def test_clips_that_ran_out_once_each_use_up_no_other_clips_retry(self, block):
        for ran_out, tried, complete in (
            ("1", ["0", "1"], [0]),
            ("4", ["1", "2", "3", "4"], [0, 1, 2]),
            ("5", ["4", "5"], [0, 1, 2, 4]),
        ):
            ended, seen, told = block(ran_out)
            assert (ended.code, seen, ended.run.clips()) == (ExitCode.BROKE_OFF, tried, complete)
            last = told[-1]
            assert (last.index, last.exit_code, last.again) == (int(ran_out), ExitCode.OUT_OF_VRAM, True)
        ended, seen, told = block("")
        assert (ended.code, seen, ended.run.clips()) == (ExitCode.FAILED, ["5"], [0, 1, 2, 4, 5])
        assert [clip.index for clip in told if clip.exit_code] == [3], "what failed before is reported"

    def test_a_clip_that_runs_out_in_each_attempt_has_failed_and_the_rest_goes_on(self, block):
        assert block("1")[0].code == ExitCode.BROKE_OFF
        ended, seen, told = block("1")
        assert (ended.code, seen) == (ExitCode.FAILED, ["1", "2", "3", "4", "5"])
        assert ended.run.clips() == [0, 2, 4, 5]
        assert "(in 2 attempts)" in ended.result(1).reason
        assert [(clip.index, clip.exit_code, clip.again) for clip in told if clip.exit_code] == [
            (1, 2, False),
            (3, 1, False),
        ]

    def test_a_clip_that_failed_for_good_is_not_tried_by_a_later_pod(self, block):
        block("1")
        assert block("1 4")[0].code == ExitCode.BROKE_OFF
        ended, seen, _ = block("1")
        assert (ended.code, seen) == (ExitCode.FAILED, ["4", "5"])
        assert any("clip 1: failed before (2), not tried again" in line for line in ended.lines)

    def test_a_clip_that_failed_before_and_is_there_now_is_complete(self, block, supervise, monkeypatch):
        block("1")
        block("1 4")  # clips 1 and 3 have failed for good
        failed = supervise.run.result(1).read_bytes()
        monkeypatch.setenv("RAN_OUT", "")
        for name in ("CLIPFARM_JOB", "CLIPFARM_RETRY_LIMIT"):
            monkeypatch.delenv(name)
        assert supervise(*python(SCARCE), index=1).code == ExitCode.OK
        supervise.run.result(1).write_bytes(failed)  # as if another machine had made it
        ended, seen, told = block("")
        assert (ended.code, seen, ended.run.clips()) == (ExitCode.FAILED, ["4", "5"], [0, 1, 2, 4, 5])
        assert [clip.index for clip in told if clip.exit_code] == [3]

    def test_a_clip_whose_folder_was_in_the_way_is_made_once_that_is_gone(self, block, supervise):
        clip = supervise.run.clip(2)
        clip.folder.mkdir(parents=True)
        clip.excerpt.write_text("{}")  # a clip of a video
        ended, _, told = block("4")
        assert (ended.code, told[2].exit_code) == (ExitCode.BROKE_OFF, ExitCode.FAILED)
        assert "it is left as it is" in told[2].reason
        ended, seen, _ = block("4")
        assert (seen, ended.result(2).exit_code) == (["4", "5"], ExitCode.FAILED), "it is looked at again"
        clip.excerpt.unlink()
        clip.folder.rmdir()
        ended, seen, _ = block("")
        assert (seen, ended.run.clips()) == (["2"], [0, 1, 2, 5])

    def test_another_job_counts_from_zero(self, block):
        block("1")
        block("1")
        ended, seen, _ = block("1", job="job-2")
        assert (ended.code, seen) == (ExitCode.BROKE_OFF, ["1"])
        assert ended.result(1).attempts.ran_out == 1

    def test_without_a_retry_the_clip_fails_at_once(self, block):
        ended, seen, _ = block("1", limit=0)
        assert (ended.code, seen) == (ExitCode.FAILED, list("012345"))

    def test_an_attempt_that_cannot_be_counted_is_left_to_the_job(self, block, supervise):
        (supervise.run.result(1)).mkdir(parents=True)  # nothing can be written there, whoever asks
        ended, seen, _ = block("1")
        assert (ended.code, seen) == (ExitCode.OUT_OF_VRAM, ["0", "1"])

    @pytest.mark.parametrize(
        "options", [["--job", "a"], ["--retry-limit", 1], ["--job", "a" * 254, "--retry-limit", 1]]
    )
    def test_options_that_count_nothing_are_refused(self, supervise, options):
        assert supervise(*python(WRITE), options=options).code == ExitCode.USAGE

"""What a run on one machine writes of its claims: others read it whole, or not at all."""

import json
from contextlib import closing

import pytest

from clipfarm.local.claims import MOST_BYTES, Claims, ClaimsError
from clipfarm.world import Departed, GpuId, OtherRun, Running

GPU = GpuId("here", 0, "GPU-a")


def run(*, running=1, departed=0):
    return OtherRun(
        "friction",
        None,
        30.0,
        tuple(Running(clip, "here", GPU, 100.0) for clip in range(running)),
        tuple(Departed("here", GPU, 100.0, 200.0 + clip) for clip in range(departed)),
    )


@pytest.fixture
def mine(tmp_path):
    with closing(Claims(tmp_path)) as made:
        yield made


def test_a_gpu_is_an_object_as_for_processes_of_earlier_versions(mine):
    mine.write(run())
    assert json.loads(mine.path.read_text())["running"][0]["gpu"] == {
        "node": "here", "index": 0, "uuid": "GPU-a", "instance": "",
    }  # fmt: skip


def test_what_one_process_writes_another_reads(mine, tmp_path):
    written = run(running=2, departed=1)
    mine.write(written)
    with closing(Claims(tmp_path)) as other:
        [read] = other.others()
    assert (read.running, read.departed) == (written.running, written.departed)
    assert isinstance(read.running[0].gpu, GpuId)


def test_many_clips_that_have_ended_leave_room_for_those_that_run(mine):
    mine.write(run(running=16, departed=20_000))
    assert mine.path.stat().st_size <= MOST_BYTES
    [read] = Claims(mine.folder).others()
    assert read.running == run(running=16).running
    kept = [gone.ended_at for gone in read.departed]
    assert 1000 < len(kept) < 20_000
    assert kept == [200.0 + clip for clip in range(20_000 - len(kept), 20_000)], "the newest"


def test_few_stay_whole(mine):
    mine.write(run(departed=100))
    assert len(Claims(mine.folder).others()[0].departed) == 100


def test_claims_that_others_could_not_read_are_refused_in_a_line(mine):
    with pytest.raises(ClaimsError) as refused:
        mine.write(run(running=9000))
    assert str(refused.value).startswith(f"{mine.path}: the claims of 9000 clips take ")
    assert str(refused.value).endswith(" MiB, expected at most 1.0 MiB, which others read; lower workers")

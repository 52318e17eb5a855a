"""Two runs of one machine on one GPU, as two users start them: each knows what the other has just started."""

import json
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from clipfarm.decide.plan import decide
from clipfarm.local.claims import Claims, ClaimsError, claims_of
from clipfarm.world import ClipMemory, Departed, OtherRun, Running
from helpers.local import Local, end, wait_until
from helpers.runs import GPU0, NODE, make_run, make_world, reading


@pytest.fixture
def both(tmp_path, gpus, local):
    """Two runs on a GPU of 10,000 MiB that no reading ever shows to be used; two clips fit."""
    gpus.show(0.1)
    other = Local(tmp_path / "other")
    for each in (local, other):
        each.clips, each.spec = 4, {"workers": 2, "render": {"device": "cuda"}}
        each.spec["vram"] = {"checkInterval": "0.1s", "perClip": "3000Mi", "allocationTime": "1h"}
        each.env = gpus.environment | {"CLIPFARM_VRAM_LEDGER": str(tmp_path / "claims")}
        for clip in range(4):
            each.script(clip, f"wait go{clip}")
    return local, other


def test_two_runs_of_one_machine_share_a_gpu_and_what_is_free_goes_to_the_smaller_share(both):
    first, second = both
    one = first.start()
    wait_until(lambda: sorted(first.started()) == [0, 1], "the first run to have two clips at work")
    two = second.start()
    for line in two.stdout:
        if "2 clips of other runs started just now (5.9 GiB)" in line:
            break
    assert second.started() == []
    first.signal_file("go0")  # the run that has none gets the place
    wait_until(lambda: second.started() == [0], "the second run to start a clip")
    wait_until(lambda: first.complete() == [0], "the first clip to be complete")
    assert sorted(first.started()) == [0, 1]
    for clip in range(4):
        first.signal_file(f"go{clip}")
        second.signal_file(f"go{clip}")
    for run, process in ((first, one), (second, two)):
        process.communicate(timeout=60)
        assert (process.returncode, run.complete()) == (0, [0, 1, 2, 3])
    assert list(Path(first.env["CLIPFARM_VRAM_LEDGER"]).iterdir()) == [], "nothing is left behind"


def test_claims_of_a_run_that_was_killed_count_no_more(both):
    first, second = both
    process = first.start()
    wait_until(lambda: sorted(first.started()) == [0, 1], "the first run to have two clips at work")
    end(process, signal.SIGKILL)
    after = second.start()
    wait_until(lambda: sorted(second.started()) == [0, 1], "the second run to have the GPU")
    assert end(after)[0] == 143


def mine(**changes):
    run = make_run(9, workers=3, render={"device": "cuda"}, vram={"perClip": "1000Mi"})
    world = make_world(run, gpus=(GPU0,), readings=(reading(GPU0, 0.1),), departed=(Departed(NODE, GPU0, 1.0, 2.0),))
    return replace(claims_of("friction", decide(run, world), world, 30.0), **changes)


@pytest.fixture
def theirs(tmp_path):
    """Claims of a process that lives, as another one reads them."""
    one, other = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
    with one.turn():
        one.write(mine())
    yield one, other
    one.close()


def test_encoders_of_a_process_are_claims_that_others_read(tmp_path):
    one, other = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
    run = make_run(9, workers=3, render={"device": "cuda"}, vram={"perClip": "1000Mi"})
    size = ClipMemory(3000.0, 3000.0, 3000.0, 0.0, 90.0, 1000)
    encoder = OtherRun("friction (encoder)", size, 90.0, (Running(0, NODE, GPU0, 5.0),), encodes=True)
    world = make_world(run, gpus=(GPU0,), readings=(reading(GPU0, 0.1),), others=(encoder,))
    with one.turn():
        one.write(claims_of("friction", decide(run, world), world, 30.0))
    clips, found = other.others()
    assert found.name == f"{clips.name} (encoder)"
    assert (found.running, found.clip, found.encodes) == (encoder.running, size, True)
    one.close()


def test_what_is_written_is_what_others_read(theirs):
    _, other = theirs
    with other.turn():
        (found,) = other.others()
    assert found.name.startswith("friction of ")
    assert found.name.endswith(f"(pid {os.getpid()})")
    assert replace(found, name="friction") == mine()
    assert len(found.running) == 3, "those that the plan starts"
    assert (found.running[0].gpu, found.clip.peak_mib) == (GPU0, 1000.0)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "[" * 100_000, "x" * (2 << 20),
        json.dumps(asdict(mine(clip=ClipMemory(-1e6, -1e6, -1e6, 0.0, 1.0, 1)))),
        json.dumps(asdict(mine(clip=ClipMemory(float("nan"), 1.0, 1.0, 0.0, 1.0, 1)))),
        json.dumps(asdict(mine(clip=ClipMemory(1e200, 1e200, 1e200, 0.0, 1.0, 1)))),
        json.dumps(asdict(mine(clip=ClipMemory(1.0, 1.0, 1.0, 1e200, 1.0, 1)))),
        json.dumps(asdict(mine(running=(Running(0, NODE, GPU0, float("inf")),)))),
        json.dumps(asdict(mine()) | {"running": "many"}),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_left_out(theirs, text):
    one, other = theirs
    one.path.write_text(text)
    assert other.others() == ()


def test_links_pipes_and_folders_among_the_claims_are_left_out(theirs, tmp_path):
    one, other = theirs
    (tmp_path / "secret").write_text("{}")
    (one.folder / "1-1.json").symlink_to(tmp_path / "secret")
    (one.folder / "2-2.json").mkdir()
    os.mkfifo(one.folder / "3-3.json")
    assert len(other.others()) == 1


def test_files_of_others_in_the_folder_are_left_alone_and_claims_of_the_dead_are_removed(theirs):
    """The variable may name a folder that has other things in it."""
    one, other = theirs
    for name in ("run.json", "1-friction.json"):
        (one.folder / name).write_text("{}")
    (one.folder / "1-a0.json").write_text("{}")
    assert len(other.others()) == 1
    assert sorted(path.name for path in one.folder.iterdir() if path != one.path) == ["1-friction.json", "run.json"]


def test_claims_of_the_dead_that_cannot_be_removed_do_not_hide_those_of_the_living(theirs, monkeypatch):
    one, other = theirs
    for number in range(300):
        (one.folder / f"0-{number:x}.json").write_text("{}")
    monkeypatch.setattr(Path, "unlink", lambda path, **_: path.rmdir())  # fails, as if they were another user's
    assert len(other.others()) == 1


def test_claims_that_were_cleaned_up_are_written_again(theirs):
    one, other = theirs
    one.path.unlink()
    one.write(mine())
    assert len(other.others()) == 1


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "claims").write_text("")
    with (
        pytest.raises(ClaimsError, match=r"claims: found no folder.*CLIPFARM_VRAM_LEDGER names another"),
        Claims(tmp_path / "claims").turn(),
    ):
        pass


def test_while_another_process_decides_nothing_starts(theirs, local, gpus):
    _, other = theirs
    gpus.show(0.1)
    local.env |= {"CLIPFARM_VRAM_LEDGER": str(other.folder)}
    with other.turn():
        process = local.start()
        for line in process.stdout:
            if "another process holds the lock on the claims of GPU memory; no clip starts meanwhile" in line:
                break
        assert local.started() == []
    wait_until(lambda: local.started(), "a clip to start")
    assert process.wait(timeout=60) == 0


def test_the_folder_is_for_all_users(theirs):
    one, _ = theirs
    assert oct(one.folder.stat().st_mode)[-4:] == "1777"
    assert oct(one.path.stat().st_mode)[-3:] == "644"


def test_a_name_of_another_user_is_printable(theirs):
    one, other = theirs
    one.write(mine(name="a\x1b[31m"))
    (found,) = other.others()
    assert isinstance(found, OtherRun)
    assert found.name.isprintable()

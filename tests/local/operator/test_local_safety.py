"""Whatever happens around a run, nothing is lost, mixed or counted wrongly, and what is wrong is said in one line."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.local import FAKE, clipfarm, descendants, end, wait_until


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_9_of_anything_at_any_moment_loses_no_complete_clip_and_counts_no_half_one(local, seed):
    chance = random.Random(seed)
    local.clips, local.spec["workers"] = 12, 3
    for clip in range(12):
        local.script(clip, "sleep 0.2")
    seen: set[int] = set()
    for _ in range(4):
        process = local.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.3, 1.5))
        victim = chance.choice([*descendants(process.pid), process])
        victim.kill()  # the executor, a supervisor or a renderer
        if victim is not process and process.poll() is None:
            wait_until(lambda: not descendants(process.pid) or process.poll() is not None, "the end of the run")  # noqa: B023
        process.communicate(timeout=60)
        now = set(local.complete())
        assert seen <= now
        seen = now
    ran = local.run()
    assert (ran.returncode, local.complete(), local.half_made()) == (0, list(range(12)), []), ran.stdout
    assert clipfarm("verify", local.output).returncode == 0


def test_clips_of_another_range_with_another_seed_are_not_mixed_in(local):
    local.clips = 4
    assert local.run("--end_job", 1, "--seed", 1).returncode == 0
    ran = local.run("--start_job", 2, "--seed", 2)
    assert ran.returncode == 2
    assert "clip_00000: made with seed 1 instead of 2" in ran.stderr
    assert local.run("--start_job", 2, "--seed", 1).returncode == 0


def test_verify_finds_clips_of_several_runs_and_copies(local, tmp_path):
    local.clips = 2
    assert local.run().returncode == 0
    other = tmp_path / "other"
    assert clipfarm("local", local.yaml, "--output", other, "--seed", 9, env=local.environment()).returncode == 0
    shutil.copytree(other / "clip_00001", local.output / "clip_00005")
    ran = clipfarm("verify", local.output)
    assert ran.returncode == 1
    assert "clip 5: clip.json is that of clip 1" in ran.stdout
    assert "made with different seeds: 0 (clips 0-1); 9 (clips 5)" in ran.stdout


def test_a_reader_that_goes_away_does_not_end_the_run(local):
    local.clips = 3
    local.script(1, "wait go")
    process = local.start()
    process.stdout.readline()
    process.stdout.close()
    local.signal_file("go")
    assert process.wait(60) == 0
    assert local.complete() == [0, 1, 2]
    assert json.loads((local.output / "report.json").read_text())["phase"] == "Succeeded"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_while_the_program_still_starts_ends_it_without_a_word(local, number):
    process = local.start()
    wait_until(lambda: handles(process.pid, number), "the program to take signals over")
    status, output, _ = end(process, number)
    assert status == 128 + number
    assert "Traceback" not in output
    assert "Aborted" not in output


def handles(pid, number):
    """Tell whether a process has a handler of its own for a signal."""
    with Path(f"/proc/{pid}/status").open() as status:
        caught = next(line.split()[1] for line in status if line.startswith("SigCgt"))
    # Python itself takes SIGINT over from the start.
    wanted = [number, signal.SIGTERM] if number == signal.SIGINT else [number]
    return all(int(caught, 16) >> (each - 1) & 1 for each in wanted)


def test_a_clip_that_somebody_removes_is_made_again(local):
    local.clips = 3
    local.script(2, "wait go")
    process = local.start()
    wait_until(lambda: local.complete() == [0, 1], "two clips")
    shutil.rmtree(local.output / "clip_00000")
    local.signal_file("go")
    process.communicate(timeout=60)
    assert (process.returncode, local.complete()) == (0, [0, 1, 2])


def test_a_folder_that_somebody_removes_ends_the_run_with_its_name(local):
    local.clips = 2
    local.script(0, "wait go")
    process = local.start()
    wait_until(lambda: local.started() == [0], "a clip at work")
    shutil.rmtree(local.output)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.splitlines()[-1] == f"{local.output}: the folder is gone"


def test_a_disk_that_is_almost_full_holds_clips_before_they_are_rendered(local):
    if os.geteuid() != 0:
        message = "mounting a small disk needs root"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    local.output.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", local.output], check=True)
    try:
        process = local.start()
        line = process.stdout.readline()
        while line and "held" not in line:
            line = process.stdout.readline()
        assert "left for clips of up to 6.0 MiB; free some space" in line
        assert local.started() == []
        subprocess.run(["mount", "-o", "remount,size=200m", local.output], check=True)
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, len(local.complete())) == (0, 6), output
    finally:
        subprocess.run(["umount", local.output], check=True)


def test_a_renderer_that_writes_nothing_makes_no_clip(local):
    local.clips, local.spec["render"] = 1, {"command": ["true"]}
    ran = local.run()
    assert (ran.returncode, local.complete()) == (1, [])
    assert "the renderer wrote no file" in ran.stdout


@pytest.mark.parametrize("command", ["local", "plan"])
def test_an_empty_output_is_not_the_current_folder(local, command):
    ran = clipfarm(command, local.yaml, "--output", "")
    assert ran.returncode == 2
    assert "found nothing, expected a folder" in ran.stderr


def test_a_name_that_is_too_long_is_one_line(local):
    ran = clipfarm("local", local.yaml, "--output", "/tmp/" + "x" * 300)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "File name too long" in ran.stderr


def test_test_clips_alone_is_a_test(local):
    local.clips = 50
    assert local.run("--test_clips", 2).returncode == 0
    assert local.complete() == [0, 25]


def test_the_half_made_clip_of_a_living_writer_is_left_alone(local):
    local.clips = 3
    local.script(2, "wait go")
    assert local.run("--end_job", 1).returncode == 0
    experiment = next(local.output.glob(".clipfarm/experiment-*.json"))
    alone = subprocess.Popen(
        [sys.executable, "-m", "clipfarm_render", "--output", local.output, "--seed", "0", "--index", "2",
         "--experiment", experiment, "--", sys.executable, FAKE],
        env=os.environ | local.environment(),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: local.started() == [0, 1, 2], "a supervisor of its own at work on clip 2")
    assert local.run("--end_job", 1).returncode == 0
    local.signal_file("go")
    assert alone.wait(60) == 0
    assert (local.complete(), local.half_made()) == ([0, 1, 2], [])

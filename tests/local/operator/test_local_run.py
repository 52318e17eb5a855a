"""A run on this machine: the executor, the supervisors and processes are real, the renderer does what it is told."""

import json
import os
import signal
import socket
import sys

import psutil
import pytest

from helpers.local import clipfarm, descendants, end, gone, wait_until


def test_every_clip_is_made_once_and_never_more_at_a_time_than_there_are_workers(local):
    local.clips, local.spec["workers"] = 8, 2
    for clip in range(8):
        local.script(clip, "sleep 0.05")
    ran = local.run()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (local.complete(), sorted(local.started()), local.half_made()) == (list(range(8)), list(range(8)), [])
    changes = sorted([(e.at, 1) for e in local.events("start")] + [(e.at, -1) for e in local.events("end")])
    busy = [sum(change for _, change in changes[: i + 1]) for i in range(len(changes))]
    assert max(busy) <= 2
    assert "Succeeded" in ran.stdout


def test_workers_get_one_thread_each_unless_the_run_says_otherwise(local, tmp_path):
    local.clips, local.spec["render"] = 1, {"threads": 3, "command": ["sh", "-c", 'env > "$CLIP_DIR/env.txt"']}
    assert local.run().returncode == 0
    found = (local.output / "clip_00000" / "env.txt").read_text().splitlines()
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
        assert f"{name}_NUM_THREADS=3" in found
    assert {"BLENDER_CPU_THREADS=3", "VECLIB_MAXIMUM_THREADS=3", "MKL_THREADING_LAYER=GNU"} <= set(found)


def test_a_clip_that_ran_out_of_gpu_memory_is_tried_again_once_after_the_delay(local):
    local.clips, local.spec = 3, {"workers": 1, "retry": {"delay": "2s"}}
    local.script(0, "exit 2", "ok")
    ran = local.run()
    assert ran.returncode == 0, ran.stdout
    assert local.started()[:2] == [0, 1]  # others go on meanwhile
    assert sorted(local.started()) == [0, 0, 1, 2]
    ended, again = local.events("end")[0], [event for event in local.events("start") if event.clip == 0][1]
    assert again.at - ended.at >= 2.0


def test_a_clip_that_runs_out_of_gpu_memory_again_has_failed(local):
    local.clips, local.spec = 2, {"workers": 1, "retry": {"delay": "0.1s"}}
    local.script(0, "print CUDA_ERROR_OUT_OF_MEMORY ok")  # and ends with 0: the supervisor knows better
    ran = local.run()
    assert ran.returncode == 1
    assert (sorted(local.started()), local.complete()) == ([0, 0, 1], [1])
    assert "failed to render: clips 0: GPU memory ran out" in ran.stdout


def test_any_other_failure_is_not_tried_again_and_the_run_goes_on(local):
    local.clips, local.spec["workers"] = 5, 2
    local.script(1, "print could-not-build exit 1")
    local.script(3, "exit 77")
    ran = local.run()
    assert (ran.returncode, local.complete(), sorted(local.started())) == (1, [0, 2, 4], [0, 1, 2, 3, 4])
    report = json.loads((local.output / "report.json").read_text())
    assert report["phase"] == "CompletedWithFailures"
    assert report["clips"] == {"total": 5, "rendered": 3, "completeBefore": 0, "encoded": 0, "failed": 2}
    assert [(f["clips"], f["stage"]) for f in report["failures"]] == [("1", "render"), ("3", "render")]
    assert "could-not-build" in report["failures"][0]["reason"]
    assert "clips 1: " in (local.output / "report.md").read_text()
    # The same command tries them again, and only them.
    local.script(1, "ok")
    local.script(3, "ok")
    assert local.run().returncode == 0
    assert sorted(local.started()[5:]) == [1, 3]


@pytest.mark.parametrize("what", ["local", "plan"])
def test_a_command_that_cannot_be_found_is_a_mistake_in_the_run_file_found_before_anything_starts(local, what):
    local.spec["render"] = {"command": ["no-such-renderer"]}
    ran = clipfarm(what, local.yaml, "--output", local.output)
    expected = 'found "no-such-renderer", expected a program that can be started: it is not on the PATH'
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"spec.render.command: {expected}\n")
    assert not local.output.exists()


def test_a_renderer_that_refuses_the_run_ends_it_at_once(local):
    local.clips, local.spec["workers"] = 50, 2
    program = local.folder / "renderer"
    program.write_bytes(b"\x7fELF, for another processor\0")
    program.chmod(0o755)
    local.spec["render"] = {"command": [str(program)]}
    ran = local.run()
    assert ran.returncode == 1
    assert f'the renderer refuses the run: COMMAND: found "{program}"' in ran.stdout
    report = json.loads((local.output / "report.json").read_text())
    assert (report["phase"], report["clips"]["failed"] <= 2) == ("Failed", True)


def test_a_run_whose_clips_all_fail_alike_ends_and_the_same_command_tries_again(local):
    local.clips, local.spec = 200, {"workers": 2, "retry": {"stopAfter": 5}}
    for clip in range(20):
        local.script(clip, f"print no-bean-{clip} exit 1")
    ran = local.run()
    assert ran.returncode == 1
    why = "5 clips failed alike before the first was complete (retry.stopAfter): exit status 1; last line: no-bean-0"
    assert why in ran.stdout.splitlines()
    assert 5 <= len(local.started()) <= 6, "the other worker was at a clip"
    report = json.loads((local.output / "report.json").read_text())
    assert (report["phase"], report["stuck"]) == ("Failed", why)
    for clip in range(20):
        local.script(clip, "ok")
    assert local.run("--end_job", "9").returncode == 0
    assert local.complete() == list(range(10))


def test_clips_that_fail_alike_after_one_that_is_complete_do_not_end_the_run(local):
    local.clips, local.spec = 12, {"workers": 1, "retry": {"stopAfter": 5}}
    for clip in range(1, 12):
        local.script(clip, "exit 1")
    assert local.run().returncode == 1
    assert local.started() == list(range(12))


def test_a_script_that_is_not_there_is_not_blamed_on_gpu_memory(local):
    local.clips, local.spec = 60, {"workers": 2, "retry": {"stopAfter": 3, "delay": "1s"}}
    local.spec["render"] = {"command": [sys.executable, "-u", "/no/such/script.py"]}
    ran = local.run()
    assert ran.returncode == 1
    assert "GPU memory ran out" not in ran.stdout
    assert "ended with 2, which the contract keeps for GPU memory; starts again 1s after that" in ran.stdout
    assert "3 clips failed alike before the first was complete (retry.stopAfter): ended with 2, which" in ran.stdout
    assert "can't open file '/no/such/script.py'" in ran.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_the_run_within_5_seconds_and_the_same_command_goes_on(local, number):
    local.clips, local.spec["workers"] = 4, 2
    local.script(2, "wait go")
    local.script(3, "wait go")
    process = local.start()
    wait_until(lambda: local.complete() == [0, 1] and len(local.started()) == 4, "two clips done and two at work")
    family = descendants(process.pid)
    status, output, seconds = end(process, number)
    assert status == 128 + number, output
    assert seconds < 5
    assert "the same command continues from here" in output
    assert gone(family)
    assert (local.complete(), local.half_made()) == ([0, 1], [])
    assert json.loads((local.output / "report.json").read_text())["state"] == "stopped"
    local.signal_file("go")
    assert local.run().returncode == 0
    assert local.complete() == [0, 1, 2, 3]
    assert local.started().count(0) == local.started().count(1) == 1


def test_a_renderer_that_will_not_end_is_killed(local):
    local.clips = 1
    local.spec["render"] = {
        "command": ["sh", "-c", "trap '' TERM INT; touch \"$FAKE_FOLDER/up\"; while :; do sleep 0.05; done"]
    }
    process = local.start()
    wait_until((local.script_folder / "up").exists, "the renderer at work")
    family = descendants(process.pid)
    _, output, seconds = end(process)
    assert seconds < 5, output
    assert gone(family)


def test_kill_9_of_the_executor_leaves_no_process_and_no_half_made_clip_counts(local):
    local.clips, local.spec["workers"] = 4, 2
    local.script(2, "wait go")
    local.script(3, "wait go")
    process = local.start()
    wait_until(lambda: local.complete() == [0, 1] and len(local.started()) == 4, "two clips done and two at work")
    family = descendants(process.pid)
    process.kill()
    process.communicate()
    wait_until(lambda: gone(family), "the workers to end by themselves", limit=10)
    assert local.complete() == [0, 1]
    local.signal_file("go")
    ran = local.run()
    assert (ran.returncode, local.complete(), local.half_made()) == (0, [0, 1, 2, 3], [])
    assert local.started().count(0) == 1


@pytest.mark.parametrize("victim", ["supervisor", "renderer"])
def test_kill_9_of_a_worker_fails_its_clip_with_the_reason_and_nothing_else(local, victim):
    local.clips, local.spec["workers"] = 3, 1
    local.script(1, "wait go", "ok")
    process = local.start()
    wait_until(lambda: local.started() == [0, 1], "clip 1 at work")
    renderer = psutil.Process(local.events()[-1].pid)
    (renderer if victim == "renderer" else renderer.parent()).kill()
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, local.complete()) == (1, [0, 2])
    assert "clip 1 failed to render:" in output
    assert "killed by signal 9" in output
    assert gone([renderer])
    assert local.run().returncode == 0
    assert (local.complete(), local.half_made()) == ([0, 1, 2], [])


def test_a_second_executor_on_the_same_folder_is_refused(local):
    local.clips = 1
    local.script(0, "wait go")
    process = local.start()
    wait_until(lambda: local.started() == [0], "clip 0 at work")
    second = local.run()
    assert second.returncode == 2
    assert second.stderr.splitlines() == [
        f"{local.output}: in use by process {process.pid} on {socket.gethostname()}; wait for it, or use another folder"
    ]
    local.signal_file("go")
    process.communicate(timeout=60)
    assert (process.returncode, local.started()) == (0, [0])


DAMAGE = {
    "a truncated file": lambda clip: os.truncate(clip / "seed.txt", 3),
    "a file that is gone": lambda clip: (clip / "seed.txt").unlink(),
    "an empty clip.json": lambda clip: os.truncate(clip / "clip.json", 0),
    "no clip.json": lambda clip: (clip / "clip.json").unlink(),
}


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_clip_is_made_again_and_the_others_are_not(local, harm):
    local.clips = 3
    assert local.run().returncode == 0
    whole = (local.output / "clip_00001" / "clip.json").read_bytes()
    harm(local.output / "clip_00001")
    ran = local.run()
    assert ran.returncode == 0
    assert "clip 1 is damaged and will be made again" in ran.stdout
    assert local.started() == [0, 1, 2, 1]
    assert (local.output / "clip_00001" / "clip.json").read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [(["--seed", "7"], "seed 0 instead of 7"), (["--no_gif"], "experiment.preview true instead of false")],
)
def test_clips_of_another_run_are_neither_counted_nor_overwritten(local, arguments, difference):
    local.clips = 2
    assert local.run().returncode == 0
    ran = local.run(*arguments)
    assert (ran.returncode, local.started()) == (2, [0, 1])
    assert ran.stderr.splitlines() == [
        f"{local.output}/clip_00000: made with {difference}, and so are others of the 2 clips there;"
        " use another --output, or --force-restart to start over"
    ]
    assert local.run(*arguments, "--force-restart").returncode == 0
    assert local.started() == [0, 1, 0, 1]


def test_options_narrow_and_change_the_run(local):
    local.clips = 100
    assert local.run("--start-job", 10, "--end-job", 12, "--workers", 3).returncode == 0
    assert local.complete() == [10, 11, 12]


def test_a_test_makes_clips_over_the_whole_run_and_says_what_it_will_take(local):
    local.clips = 100
    ran = local.run("--test", "--test-clips", 4)
    assert (ran.returncode, local.complete()) == (0, [0, 25, 50, 75])
    assert "the whole run of 100 clips: about" in ran.stdout
    assert "of disk" in ran.stdout


def test_a_dry_run_and_a_plan_say_the_same_and_do_nothing(local):
    local.clips, local.spec["workers"] = 20, 3
    dry = local.run("--dry_run")
    planned = clipfarm("plan", local.yaml, "--output", local.output)
    assert (dry.returncode, dry.stdout) == (0, planned.stdout)
    assert "starts now: clips 0, 1, 2" in dry.stdout
    assert not local.output.exists()
    assert local.run("--end_job", 1).returncode == 0
    assert "complete already: 2" in local.run("--dry_run").stdout


def test_suspend_is_refused_where_nobody_could_change_it_back(local):
    local.spec["suspend"] = True
    ran = local.run()
    assert (ran.returncode, local.started()) == (2, [])
    assert ran.stderr.startswith("spec.suspend: found true, expected false on this machine")


def test_an_output_that_cannot_be_written_is_named(local):
    local.output.parent.mkdir(exist_ok=True)
    local.output.write_text("a file")
    ran = local.run()
    line = f"clipfarm local: Invalid value for '--output' / '--output-dir': found {local.output}, expected a folder"
    assert (ran.returncode, ran.stderr.splitlines()) == (2, [line])

"""How one child ends, and what the supervisor makes of it."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.examining import damage
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiment import Experiment
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_render.supervising import attempt
from clipfarm_render.supervising.children import Children, Renderer
from clipfarm_render.supervising.stopping import Stop
from helpers.experiments import TINY

from .conftest import python

CYCLES = "System is out of GPU memory"
WRITE = "pathlib.Path(folder, 'seed.txt').write_text(os.environ['CLIP_SEED'])"
NOT_GPU = "MemoryError: Unable to allocate 3 GiB"

ENDINGS = {
    "exit 0": (f"{WRITE}", ExitCode.OK, ""),
    "exit 1": ("print('no such bean'); sys.exit(1)", ExitCode.FAILED, "exit status 1; last line: no such bean"),
    "exit 2": ("sys.exit(2)", ExitCode.OUT_OF_VRAM, "ended with 2, which the contract keeps for GPU memory"),
    "exit 2, and a last line": (
        "print('usage: beans [-h]'); sys.exit(2)",
        ExitCode.OUT_OF_VRAM,
        "ended with 2, which the contract keeps for GPU memory; last line: usage: beans [-h]",
    ),
    "exit 2, with a reason in the report": (
        "pathlib.Path(os.environ['CLIP_REPORT']).write_text('{\"reason\": \"two beans\"}'); sys.exit(2)",
        ExitCode.OUT_OF_VRAM,
        "two beans",
    ),
    "exit 64": ("sys.exit(64)", ExitCode.FAILED, "exit status 64"),
    "prints on fd 1 that the GPU is full, and exits with 0": (
        f"{WRITE}; os.write(1, b'{CYCLES}\\n')",
        ExitCode.OUT_OF_VRAM,
        f"GPU memory ran out: {CYCLES}",
    ),
    "prints on fd 2 that the GPU is full, without an end of line": (
        f"{WRITE}; os.write(2, b'{CYCLES}')",
        ExitCode.OUT_OF_VRAM,
        f"GPU memory ran out: {CYCLES}",
    ),
    "prints that the GPU is full, and would go on for ever": (
        f"print('{CYCLES}', flush=True); time.sleep(600)",
        ExitCode.OUT_OF_VRAM,
        f"GPU memory ran out: {CYCLES}",
    ),
    "prints that host memory is full": (
        f"print('{NOT_GPU}'); sys.exit(1)",
        ExitCode.FAILED,
        f"exit status 1; last line: {NOT_GPU}",
    ),
    "SIGKILL": (
        "os.kill(os.getpid(), signal.SIGKILL)",
        ExitCode.FAILED,
        "killed by signal 9 (SIGKILL): the kernel does this when host memory runs out",
    ),
    "segmentation fault": (
        "import ctypes; ctypes.string_at(0)",
        ExitCode.FAILED,
        "killed by signal 11 (SIGSEGV)",
    ),
    "gives its reason in the report": (
        "pathlib.Path(os.environ['CLIP_REPORT']).write_text('{\"reason\": \"the beans are gone\"}'); sys.exit(1)",
        ExitCode.FAILED,
        "the beans are gone",
    ),
    "writes nonsense into the report": (
        "pathlib.Path(os.environ['CLIP_REPORT']).write_text('{\"beans\": 1}'); sys.exit(1)",
        ExitCode.FAILED,
        "its report is unreadable: report.beans: unknown field",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_child_that(supervise, ending):
    code, expected, reason = ENDINGS[ending]
    ended = supervise(*python(code))
    assert ended.code == expected, ended.lines
    result = ended.result(0)
    assert result.exit_code == expected
    assert result.reason == reason
    assert ended.run.clip(0).folder.exists() is (expected == ExitCode.OK)
    assert ended.left_over() == []
    assert ended.run.log(0).exists() is (expected != ExitCode.OK)


def test_a_child_that_ends_with_2_on_a_gpu_ran_out_of_its_memory(supervise):
    ended = supervise(*python("print('no room'); sys.exit(2)"), options=["--device", "cuda"])
    assert ended.code == ExitCode.OUT_OF_VRAM
    assert ended.result(0).reason == "GPU memory ran out (exit status 2); last line: no room"


def test_a_script_that_is_not_there_ends_with_pythons_own_2_and_its_last_line_says_so(supervise):
    ended = supervise(sys.executable, "-u", "/no/such/script.py")
    assert ended.code == ExitCode.OUT_OF_VRAM, "it is tried again, as the contract says"
    reason = ended.result(0).reason
    assert reason.startswith("ended with 2, which the contract keeps for GPU memory; last line: ")
    assert "can't open file '/no/such/script.py'" in reason


def test_a_complete_clip_has_every_file_in_its_manifest(supervise):
    ended = supervise(*(program := python(f"os.mkdir(folder + '/rgb'); {WRITE}")))
    clip = ended.run.clip(0)
    manifest = ClipManifest.read(clip.manifest)
    assert list(manifest.files) == ["seed.txt"]
    assert manifest.renderer == program
    assert damage(clip) == []
    assert ended.result(0).peak_rss_mib > 1
    assert 0 < ended.result(0).cpu_seconds < 10


def test_a_child_gets_its_task_in_the_environment(supervise):
    keep = "pathlib.Path(folder, 'env.json').write_text(json.dumps(dict(os.environ)))"
    ended = supervise(*python(f"import json; {keep}"), index=7, options=["--device", "optix"])
    environ = json.loads((ended.run.clip(7).folder / "env.json").read_text())
    assert environ["CLIP_INDEX"] == "7"
    assert environ["CLIP_DEVICE"] == "optix"
    assert environ["CLIP_SEED"].isdigit()
    assert json.loads(environ["CLIP_EXPERIMENT"])["phase"]["name"] == "A1"
    assert "phases" not in json.loads(environ["CLIP_EXPERIMENT"])
    assert environ["OMP_NUM_THREADS"] == environ["BLENDER_CPU_THREADS"] == "2"
    assert not Path(environ["CLIP_REPORT"]).parent.exists(), "the scratch folder goes with the child"


def test_the_threads_that_the_caller_has_set_reach_the_child(supervise):
    keep = "pathlib.Path(folder, 'threads').write_text(os.environ['BLENDER_CPU_THREADS'])"
    ended = supervise(*python(keep), threads=1)
    assert (ended.run.clip(0).folder / "threads").read_text() == "1"
    assert sum("BLENDER_CPU_THREADS=1" in line for line in ended.lines) == 1


def test_a_child_that_takes_too_long_is_ended_with_all_that_it_started(supervise):
    code = "import subprocess; subprocess.Popen(['sleep', '611']); signal.signal(15, signal.SIG_IGN); time.sleep(611)"
    ended = supervise(*python(code), options=["--timeout", "1.5"])
    assert ended.code == ExitCode.FAILED
    assert ended.result(0).reason == "timed out after 1.5 s"
    assert 1.5 < ended.result(0).seconds["total"] < 6
    assert ended.left_over() == []
    everything = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 611" not in everything.splitlines()


def test_the_log_of_a_failed_clip_holds_the_last_fifty_lines_and_goes_when_it_is_complete(supervise):
    ended = supervise(*python("print(*range(200), sep='\\n'); sys.exit(1)"))
    assert ended.run.log(0).read_text().split() == [str(i) for i in range(150, 200)]
    assert "199" in ended.lines, "what the child prints is passed on"
    ended = supervise(*python(WRITE))
    assert ended.code == ExitCode.OK
    assert not ended.run.log(0).exists()


def test_an_output_that_cannot_be_written_fails_its_clips_in_one_line(supervise):
    supervise.run.root.write_text("a file, where the run's folder should be")
    ended = supervise(*python(WRITE), count=2)
    assert ended.code == ExitCode.FAILED
    reasons = [line for line in ended.lines if "failed (1):" in line]
    assert len(reasons) == 2
    assert "Not a directory" in reasons[0]
    assert not any("Traceback" in line for line in ended.lines)


def test_a_disk_that_is_full_fails_the_clip_and_leaves_nothing(supervise):
    ended = supervise(*python("file = open('/dev/full', 'w'); file.write('x'); file.close()"))
    assert ended.code == ExitCode.FAILED
    assert "No space left on device" in ended.result(0).reason
    assert ended.left_over() == []


@pytest.fixture
def small_disk(supervise):
    """Mount a file system of 256 KiB where the run's folder is, and take it away again."""
    folder = supervise.run.root
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_up_under_a_child_fails_its_clip_and_leaves_nothing(supervise, small_disk):
    ended = supervise(*python("print('filling'); pathlib.Path(folder, 'big').write_bytes(bytes(300_000))"))
    assert ended.code == ExitCode.FAILED
    assert ended.result(0).reason.endswith("OSError: [Errno 28] No space left on device")
    assert "filling" in ended.run.log(0).read_text()
    assert ended.run.clips() == ended.left_over() == []


# The first clip takes every block there is, so that none is left for its clip.json.
GREEDY = """
file = open(folder + '/big', 'wb', 0)
try:
    while os.environ['CLIP_INDEX'] == '0':
        file.write(bytes(4096))
except OSError:
    pass
"""


def test_a_disk_that_fills_up_when_clip_json_is_written_fails_the_clip_and_the_next_one_fits(supervise, small_disk):
    ended = supervise(*python(f"exec({GREEDY!r})"), count=2)
    assert ended.code == ExitCode.FAILED
    assert [ended.result(i).exit_code for i in (0, 1)] == [ExitCode.FAILED, ExitCode.OK]
    assert ended.result(0).reason.endswith("No space left on device")
    assert ended.run.clips() == [1]
    assert ended.left_over() == []


def test_a_disk_that_is_read_only_fails_its_clips_in_one_line(supervise, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    ended = supervise(*python(WRITE))
    assert ended.code == ExitCode.FAILED
    (reason,) = [line for line in ended.lines if "failed (1):" in line]
    assert reason.endswith("Read-only file system")
    assert not any("Traceback" in line for line in ended.lines)


def test_a_disk_that_fills_up_while_the_clip_is_completed_fails_it_and_leaves_nothing(tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "clip.json")

    monkeypatch.setattr(attempt.completing, "complete", no_space)
    run = RunFolder(tmp_path / "out")
    recipe = Experiment.from_json(json.dumps(TINY)).recipe(seed=0, index=0)
    finish = attempt.make(run, recipe, Children(Renderer(python(WRITE), "cpu", 60)), Stop(), lambda: False)
    outcome = finish()
    assert outcome.result.exit_code == ExitCode.FAILED
    assert outcome.result.reason == "clip.json: No space left on device"
    assert run.attempts() == []
    assert run.clips() == []


def test_a_clip_of_another_recipe_is_left_alone(supervise):
    supervise(*(program := python(WRITE)), seed=1)
    before = (supervise.run.clip(0).folder / "seed.txt").read_text()
    ended = supervise(*program, seed=2)
    assert ended.code == ExitCode.FAILED
    assert ended.result(0).reason == "clip_00000: made with seed 1 instead of 2; it is left as it is"
    assert (ended.run.clip(0).folder / "seed.txt").read_text() == before


def test_a_damaged_clip_is_made_again(supervise):
    supervise(*(program := python(WRITE)))
    clip: Clip = supervise.run.clip(0)
    (clip.folder / "seed.txt").write_text("")
    assert supervise(*program).code == ExitCode.OK
    assert damage(clip) == []


def test_a_program_that_is_not_there_is_a_usage_error(supervise):
    ended = supervise("/no/such/program")
    assert ended.code == ExitCode.USAGE
    expected = 'found "/no/such/program", expected a program that can be started: there is no such file'
    assert ended.lines == [f"clipfarm-render: COMMAND: {expected}"]
    assert not supervise.run.root.exists(), "nothing was tried"


def test_a_program_that_the_kernel_refuses_is_a_usage_error_and_no_other_clip_is_tried(supervise, tmp_path):
    program = tmp_path / "renderer"
    program.write_bytes(b"\x7fELF, for another processor\0")
    program.chmod(0o755)
    ended = supervise(program, count=3, options=["--termination-message", tmp_path / "message"])
    assert ended.code == ExitCode.USAGE
    why = "Exec format error; is it built for another processor?"
    reason = f'COMMAND: found "{program}", expected a program that can be started: {why}'
    assert (ended.result(0).exit_code, ended.result(0).reason) == (ExitCode.USAGE, reason)
    told = json.loads((tmp_path / "message").read_text())["clips"]
    assert [(clip["index"], clip["exitCode"]) for clip in told] == [(0, 64)]
    assert ended.left_over() == []


def test_a_program_that_goes_between_two_clips_ends_the_block_with_what_is_complete(supervise, tmp_path):
    program = tmp_path / "renderer"
    program.write_text(f'#!/bin/sh\necho "$CLIP_SEED" > "$CLIP_DIR/seed.txt"\nrm "{program}"\n')
    program.chmod(0o755)
    ended = supervise(program, count=3)
    assert ended.code == ExitCode.USAGE
    assert ended.run.clips() == [0]
    assert "No such file or directory" in ended.result(1).reason
    assert not ended.run.result(2).exists()


def test_the_experiment_comes_from_the_environment_too(supervise):
    command = [sys.executable, "-m", "clipfarm_render", "--output", supervise.run.root, "--seed", "0", "--index", "0"]
    done = subprocess.run(
        [*command, "--", *python(WRITE)],
        env={"CLIPFARM_EXPERIMENT": json.dumps(TINY)},
        check=False,
    )
    assert done.returncode == ExitCode.OK


def test_what_a_clip_left_for_others_while_the_gpu_was_full_goes_with_it(supervise):
    """Cycles may go on with a wrong background, which all clips of the run would show."""
    cache = supervise.run.cache
    cache.mkdir(parents=True)
    (cache / "before.npz").write_text("")
    os.utime(cache / "before.npz", (1000, 1000))
    leave = "pathlib.Path(os.environ['CLIP_CACHE'], 'made.npz').write_text('')"
    assert supervise(*python(f"{leave}; {WRITE}")).code == ExitCode.OK
    assert {path.name for path in cache.glob("*.npz")} == {"before.npz", "made.npz"}
    os.utime(cache / "made.npz", (1000, 1000))
    ended = supervise(*python(f"{leave}; os.write(1, b'{CYCLES}\\n')"), index=1)
    assert ended.code == ExitCode.OUT_OF_VRAM
    assert [path.name for path in cache.glob("*.npz")] == ["before.npz"]

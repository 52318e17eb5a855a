"""A FIFO or a device where a file is expected is refused at once in one line, or has no say at all."""

import os
import shlex
import subprocess
import sys

import pytest

from helpers.local import CLIPFARM, clipfarm

LIMIT = 60


def shell(local, line):
    """Run a line of bash in which CLIPFARM and RUN stand for the program and the run file."""
    words = {"CLIPFARM": shlex.join(CLIPFARM), "RUN": shlex.quote(str(local.yaml))}
    for name, value in words.items():
        line = line.replace(name, value)
    return subprocess.run(
        ["bash", "-c", line],
        env=os.environ | local.environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize("command", ["local", "plan"])
@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("FIFO", "found a pipe without content, or that no program writes to"),
        ("/dev/zero", "found a device, expected a regular file or a pipe"),
        ("/dev/tty", None),
        ("folder", "found a folder, expected a regular file or a pipe"),
    ],
)
def test_a_run_file_that_is_none_is_refused(local, tmp_path, command, kind, found):
    path = tmp_path / "run"
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case device:
            path.symlink_to(device)
    ran = clipfarm(command, path, *(["--output", local.output] if command == "local" else []))
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"{path}: {found or ''}")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "line",
    ["CLIPFARM local <(cat RUN) --output {output}", "cat RUN | CLIPFARM local /dev/stdin --output {output}",
     "CLIPFARM local /dev/stdin --output {output} < RUN"],
)  # fmt: skip
def test_a_run_file_may_come_through_a_pipe(local, line):
    local.clips = 1
    ran = shell(local, line.format(output=shlex.quote(str(local.output))))
    assert (ran.returncode, local.complete()) == (0, [0]), ran.stderr


@pytest.mark.parametrize(
    "program",
    [
        ("clipfarm_render", "--output", "{folder}", "--seed", "1", "--index", "0"),
        ("clipfarm_encode", "--data-dir", "{folder}", "--in-place", "--weights", "random", "--seed", "1"),
    ],
)
def test_an_experiment_that_is_a_fifo_is_refused(tmp_path, program):
    os.mkfifo(tmp_path / "fifo")
    command = [word.format(folder=tmp_path) for word in program]
    ran = subprocess.run(
        [sys.executable, "-m", *command, "--experiment", tmp_path / "fifo"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ran.returncode in (2, 64)
    assert f"--experiment: {tmp_path / 'fifo'}: found a pipe without content" in ran.stderr.splitlines()[-1]


FILES = [
    "results/clip_00000.json",
    "logs/clip_00000.log",
    "workers/clip_00000.log",
    "workers/encoder-0.log",
    "encode.json",
    "all-rendered",
]


def test_fifos_among_the_files_of_a_run_hold_nothing_up(local):
    local.clips = 2
    state = local.output / ".clipfarm"
    for name in FILES:
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(state / name)
    for name in ("report.json", "report.md"):
        os.mkfifo(local.output / name)
    ran = local.run()
    assert (ran.returncode, local.complete()) == (0, [0, 1]), ran.stdout + ran.stderr
    assert (local.output / "report.md").is_file()


@pytest.mark.parametrize("name", ["lock", "writers"])
def test_a_fifo_for_a_lock_is_named(local, name):
    local.clips = 1
    (local.output / ".clipfarm").mkdir(parents=True)
    (local.output / ".clip_00000.0123abcd").mkdir()
    os.mkfifo(local.output / ".clipfarm" / name)
    ran = local.run()
    text = ran.stderr if name == "lock" else ran.stdout
    assert f"{local.output / '.clipfarm' / name}: Not a regular file" in text
    assert ran.returncode == (2 if name == "lock" else 0)


@pytest.mark.parametrize("name", ["clip.json", "seed.txt", "feature_maps/m.npy", "feature_maps/m.json"])
def test_verify_reports_a_fifo_in_a_clip(local, name):
    local.clips = 1
    assert local.run().returncode == 0
    path = local.output / "clip_00000" / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".json" and path.parent.name == "feature_maps":
        path.with_suffix(".npy").touch()
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    ran = clipfarm("verify", local.output)
    assert ran.returncode == 1
    assert path.name in ran.stdout


def test_a_termination_message_that_is_a_fifo_is_not_waited_for(local, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    local.clips = 1
    assert local.run().returncode == 0
    experiment = next((local.output / ".clipfarm").glob("experiment-*.json"))
    command = ["--output", local.output, "--seed", "0", "--index", "0", "--experiment", experiment]
    ran = subprocess.run(
        [sys.executable, "-m", "clipfarm_render", *command, "--termination-message", tmp_path / "fifo", "--", "true"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert f"--termination-message: {tmp_path / 'fifo'} cannot be written: " in ran.stderr

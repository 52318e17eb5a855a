"""The command as a process of its own: signals, killed writers, a folder that grows."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from clipfarm_contract.layout import RunFolder
from clipfarm_encode import cli
from unit.encode.made_up import SEED, make_clip, make_experiment

pytestmark = pytest.mark.torch

MODEL = "vjepa2_tiny16"
PATIENCE = 60  # seconds; a machine with other work takes its time to import PyTorch
# Run before the command, so that a test can hold it still at one moment.
PAUSE_BEFORE_PLACING = """
import pathlib, time
from clipfarm_encode.files import features
place = features.place
def paused(temporary, path):
    if "clip_00002" in str(path):
        pathlib.Path("paused").touch()
        time.sleep(600)
    place(temporary, path)
features.place = paused
"""
BUSY_IN_THE_MODEL = """
import pathlib, torch
from clipfarm_encode.models.vjepa2.network import VJEPA2Encoder
outputs, calls = VJEPA2Encoder.outputs, []
def busy(self, video, *output):
    calls.append(1)
    if len(calls) == 3:
        pathlib.Path("paused").touch()
        torch.linalg.svd(torch.randn(5000, 5000))  # one step of the interpreter, and most of a minute
    return outputs(self, video, *output)
VJEPA2Encoder.outputs = busy
"""


def command(run, *options, before=""):
    # A test run in the background has SIGINT ignored, and so would its children.
    script = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{before}\n"
    script += "from clipfarm_encode.cli import main; main()"
    arguments = ["--data_dir", run.root, "--in_place", "--model", MODEL, "--weights", "random", "--crop_size", 32]
    return [sys.executable, "-c", script, *map(str, arguments), "--device", "cpu", *map(str, options)]


@contextmanager
def started(*arguments, **keywords):
    """Run a process that is killed at the end of the test at the latest."""
    process = subprocess.Popen(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **keywords)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for(condition, process):
    """Wait until ``condition()`` holds; a process that ends before fails the test with what it printed."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, "the process did not get there in time"
        time.sleep(0.02)


def finish(run):
    run.state.mkdir(exist_ok=True)
    run.all_rendered.touch()


def hashes(run):
    files = [path for path in run.root.rglob("*") if path.is_file() and ".clipfarm" not in path.parts]
    return {str(path.relative_to(run.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def run(tmp_path):
    for i in range(5):
        make_clip(tmp_path / "run", i)
    return RunFolder(tmp_path / "run")


def test_a_watched_folder_is_encoded_as_it_grows_until_the_marker(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.state.mkdir(parents=True)
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    with started(command(run, "--watch", "--log-json", run.encode_log()), env=one_thread) as process:
        for i in range(3):
            make_clip(run.root, i)
            wait_for(run.clip(i).features(MODEL).exists, process)
        for i in range(3, 6):
            make_clip(run.root, i, frames=4 + 2 * (i % 2))
        finish(run)
        assert process.wait(PATIENCE) == 0, process.stdout.read()
        assert "1 CPU threads" in process.stdout.readline()
    document = json.loads(run.encode_log().read_text())
    assert document["state"] == "finished"
    assert document["clips"] == {"found": 6, "waiting": 0, "encoding": 0, "encoded": 6, "skipped": 0, "failed": 0}
    assert np.load(run.clip(5).features(MODEL)).shape == (12, 192)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the hashes of the same five clips, encoded without an interruption and in other batches."""
    folder = RunFolder(tmp_path_factory.mktemp("undisturbed"))
    for i in range(5):
        make_clip(folder.root, i)
    encode_here(folder, "--batch_size", 1)
    return hashes(folder)


def encode_here(run, *options):
    """Run the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", dict(os.environ))
        assert cli.run([*map(str, command(run, *options)[3:])]) == 0


@pytest.mark.parametrize(
    ("moment", "number"),
    [(PAUSE_BEFORE_PLACING, signal.SIGINT), (BUSY_IN_THE_MODEL, signal.SIGTERM)],
    ids=["SIGINT while saving", "SIGTERM while computing"],
)
def test_a_signal_ends_it_within_three_seconds_and_the_same_command_goes_on(run, undisturbed, tmp_path, moment, number):
    with started(command(run, "--log-json", tmp_path / "log.json", before=moment), cwd=tmp_path) as process:
        wait_for((tmp_path / "paused").exists, process)
        start = time.monotonic()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
        assert time.monotonic() - start < 3
    assert json.loads((tmp_path / "log.json").read_text())["state"] == "stopped"
    check_and_finish(run, undisturbed)


@pytest.mark.parametrize("moment", [PAUSE_BEFORE_PLACING, BUSY_IN_THE_MODEL], ids=["saving", "computing"])
def test_killed_at_any_moment_it_leaves_no_part_of_a_file_and_the_same_command_goes_on(
    run, undisturbed, tmp_path, moment
):
    with started(command(run, before=moment), cwd=tmp_path) as process:
        wait_for((tmp_path / "paused").exists, process)
        process.kill()
        process.wait()
    check_and_finish(run, undisturbed)


def check_and_finish(run, undisturbed):
    """Every array that is there is whole; a second run gives the same files as one that nobody interrupted."""
    for path in run.root.rglob("feature_maps/vjepa2_tiny16.npy"):
        assert np.load(path).shape == (8, 192)
    encode_here(run)
    assert hashes(run) == undisturbed


def test_an_encoder_that_follows_a_folder_is_ended_by_sigterm_and_that_is_no_failure(run, tmp_path):
    with started(command(run, "--watch", "--log-json", tmp_path / "log.json")) as process:
        wait_for(lambda: len(list(run.root.rglob("*.npy"))) == 5, process)
        process.terminate()
        assert process.wait(PATIENCE) == 0, process.stdout.read()
    assert json.loads((tmp_path / "log.json").read_text())["state"] == "stopped"


def test_an_encoder_leaves_the_clips_of_another_run_alone(run, tmp_path):
    make_clip(run.root, 5, seed=1)
    finish(run)
    experiment = make_experiment()
    (tmp_path / "experiment.json").write_text(json.dumps(experiment.document))
    identity = ("--seed", SEED, "--experiment", tmp_path / "experiment.json")
    with started(command(run, "--watch", "--clips", "0-6", "--log-json", run.encode_log(), *identity)) as process:
        assert process.wait(PATIENCE) == 0, process.stdout.read()
        assert "1 clip is of another run, and left alone: clip_00005 was made with seed 1" in process.stdout.read()
    document = json.loads(run.encode_log().read_text())
    assert (document["clips"]["found"], document["clips"]["encoded"], document["foreign"]) == (5, 5, 1)
    assert document["absent"] == "5-6"
    assert not run.clip(5).features(MODEL).parent.exists()


def test_it_ends_with_its_parent_when_asked_to(run, tmp_path):
    finish_never = command(run, "--watch", "--exit-with-parent", "--log-json", tmp_path / "log.json")
    parent = f"import subprocess, sys; p = subprocess.Popen({finish_never!r}); print(p.pid, flush=True); p.wait()"
    with started([sys.executable, "-c", parent]) as process:
        child = int(process.stdout.readline())
        wait_for(lambda: len(list(run.root.rglob("*.npy"))) == 5, process)
        process.kill()
        process.wait()
        end = time.monotonic() + 10
        while json.loads((tmp_path / "log.json").read_text())["state"] != "stopped":
            assert time.monotonic() < end, "it lives on"
            time.sleep(0.05)
        while is_alive(child):
            assert time.monotonic() < end, "it lives on"
            time.sleep(0.05)


def test_it_ends_at_once_if_its_parent_ended_before_it_had_started(run):
    """The number that is handed over is not the parent's: it was, when the parent started this process."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    watching = command(run, "--watch", "--exit-with-parent", "--parent", ended.pid)
    done = subprocess.run(watching, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert not list(run.root.rglob("*.npy"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_download_leaves_nothing_when_it_is_ended(run, tmp_path, number):
    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(2**30))
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(b"x")
                time.sleep(0.01)

    handler = type("Handler", (BaseHTTPRequestHandler,), {"do_GET": trickle, "log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/vitl.pt"
    cache = tmp_path / "cache"
    loading = command(run, "--weights", address, "--weights_sha256", "0" * 64)
    try:
        with started(loading, env=os.environ | {"XDG_CACHE_HOME": str(cache)}) as process:
            wait_for(lambda: list(cache.rglob(".vitl.pt.part-*")), process)
            process.send_signal(number)
            assert process.wait(PATIENCE) == 128 + number
        assert [path for path in cache.rglob("*") if path.is_file()] == []
    finally:
        server.shutdown()
        server.server_close()


def is_alive(pid):
    """Tell whether a process runs; one that ended and waits for init to notice does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123  may vanish between two steps
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False

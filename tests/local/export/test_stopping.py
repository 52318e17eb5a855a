"""`clipfarm export` as a process: killed, ended by a signal, started without its package."""

import signal
import subprocess
import sys

from helpers.exports import content, export, start
from helpers.local import wait_until
from helpers.run_folder import FEATURES, make_run


def test_an_export_that_is_killed_and_continued_has_the_same_bytes_as_another_one(tmp_path):
    run = make_run(tmp_path / "run", 12, features=True)
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    for part in ("data-A1-00000", "data-slippery_floor-00000"):
        record = begun / ".clipfarm-export" / "parts" / f"{part}.json"
        process = start(run.root, begun, "--features", FEATURES)
        wait_until(lambda record=record, process=process: record.exists() or process.poll() is not None, part)
        process.kill()
        process.communicate()
    assert export(run.root, begun, "--features", FEATURES).exit_code == 0
    assert export(run.root, whole, "--features", FEATURES).exit_code == 0
    assert content(begun) == content(whole)
    assert not (begun / ".clipfarm-export").exists()


def test_a_signal_ends_it_with_its_number_and_it_continues(tmp_path):
    run = make_run(tmp_path / "run", 60)
    process = start(run.root, tmp_path / "out")
    wait_until(lambda: (tmp_path / "out").exists() or process.poll() is not None, "it has begun")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert said == ""
    done = export(run.root, tmp_path / "out")
    assert (done.exit_code, done.stdout.startswith("exported 60 clips")) == (0, True)


def test_without_the_package_the_command_names_it(a_run, tmp_path):
    code = "import sys; sys.modules['clipfarm_export'] = None; from clipfarm.cli.main import main; main()"
    arguments = [sys.executable, "-c", code, "export", a_run.root, tmp_path / "out"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, "not installed: clipfarm_export" in done.stderr) == (2, True)

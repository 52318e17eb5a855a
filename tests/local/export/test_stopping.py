"""`clipfarm export` as a process: killed, ended by a signal, started without its package."""

import signal
import subprocess
import sys

import pytest

from helpers.exports import TITLE, content, export, start
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


@pytest.mark.parametrize("form", ["hf", "webdataset", "lerobot"])
def test_an_export_in_many_files_that_is_killed_three_times_has_the_same_bytes(tmp_path, form):
    run = make_run(tmp_path / "run", 24, resolution=64)
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    arguments = ["--video", "h264", "--previews", 2]
    records = begun / ".clipfarm-export" / "parts"
    # About two clips a file, by the estimate of what their pictures become.
    most = sum(path.stat().st_size for path in run.clip(0).rgb.iterdir()) // 20
    code = f"from clipfarm_export import cli; cli.MIB = {most}; cli.main('clipfarm export')"
    given = [run.root, begun, "--format", form, *TITLE, *arguments, "--shard-size", 1]
    for count in (1, 4, 8):
        process = subprocess.Popen([sys.executable, "-c", code, *map(str, given)], stderr=subprocess.DEVNULL)
        enough = lambda count=count: records.exists() and len(list(records.iterdir())) >= count  # noqa: E731
        wait_until(lambda e=enough, p=process: e() or p.poll() is not None, f"{count} finished parts")
        assert process.poll() is None, "it was killed before its end"
        process.kill()
        process.wait()
    for place in (begun, whole):
        given[1] = place
        subprocess.run([sys.executable, "-c", code, *map(str, given)], check=True, capture_output=True)
    assert content(begun) == content(whole)
    assert len([path for path in whole.rglob("*") if path.suffix in (".parquet", ".tar", ".mp4")]) > 8


def test_a_signal_ends_it_with_its_number_and_it_continues(tmp_path):
    run = make_run(tmp_path / "run", 60)
    process = start(run.root, tmp_path / "out")
    wait_until(lambda: (tmp_path / "out").exists() or process.poll() is not None, "it has begun")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert said == "clipfarm export: stopped by SIGTERM; the same command continues\n"
    done = export(run.root, tmp_path / "out")
    assert (done.exit_code, done.stdout.startswith("exported 60 clips")) == (0, True)


@pytest.mark.parametrize("form", ["hf", "webdataset", "lerobot"])
def test_a_disk_that_is_full_is_named_in_one_line_and_the_export_continues(tmp_path, form):
    run, place = make_run(tmp_path / "run", 4, features=True), tmp_path / "out"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, -1))"  # stands for a disk
    code = f"{limit}; from clipfarm_export.cli import main; main('clipfarm export')"
    given = [run.root, place, "--format", form, *TITLE, "--features", FEATURES]
    done = subprocess.run([sys.executable, "-c", code, *map(str, given)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"clipfarm export: {place}")
    assert (done.stderr.count("\n"), "File too large" in done.stderr) == (1, True)
    for to in (place, tmp_path / "other"):
        assert export(run.root, to, "--features", FEATURES, form=form).exit_code == 0
    assert content(place) == content(tmp_path / "other")


def test_without_the_package_the_command_names_it(a_run, tmp_path):
    code = "import sys; sys.modules['clipfarm_export'] = None; from clipfarm.cli.main import main; main()"
    arguments = [sys.executable, "-c", code, "export", a_run.root, tmp_path / "out"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, "not installed: clipfarm_export" in done.stderr) == (2, True)

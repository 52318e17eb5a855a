"""The benchmark for GPUs, tried on the CPU with tiny clips: where a GPU is at hand it has to run at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench"


@pytest.mark.blender
def test_the_gpu_benchmark_runs_and_reports_its_figures():
    arguments = ["--device", "cpu", "--small", "--clips", "2", "--only", "render", "cpu"]
    done = subprocess.run(
        [sys.executable, BENCH / "on_gpu.py", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    results = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert results.keys() == {
        "gpu_first_clip_seconds",
        "gpu_first_frame_seconds",
        "gpu_clips_per_second",
        "gpu_cycles_share",
        "gpu_psnr_to_cpu_db",
    }
    assert results["gpu_psnr_to_cpu_db"]["pixels_that_differ"] == 0


def test_without_a_gpu_it_says_so_in_a_line(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nonexistent")
    done = subprocess.run([sys.executable, BENCH / "on_gpu.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench-gpu: nothing was measured: no GPU here: NVML: ")


@pytest.mark.torch
def test_an_encoder_without_its_device_is_refused_in_a_line():
    program = [sys.executable, BENCH / "encode_gpu.py", "--device", "cuda:7", "--model", "vjepa2_tiny16"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("encode_gpu: ")
    assert len(done.stderr.splitlines()) == 1

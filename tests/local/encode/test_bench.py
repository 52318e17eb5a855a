"""The benchmark for GPUs, tried on the CPU with a small model: where a GPU is at hand it has to run at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

BENCH = Path(__file__).parents[3] / "bench" / "encode_gpu.py"


def test_the_gpu_benchmark_runs_and_reports_its_figures():
    arguments = ["--device", "cpu", "--model", "vjepa2_tiny16", "--frames", "2", "--crop", "32"]
    arguments += ["--clips", "4", "--batch", "2", "--rounds", "2"]
    found = subprocess.run([sys.executable, BENCH, *arguments], capture_output=True, text=True, timeout=300, check=True)
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert "CPUs" in lines[0]["machine"]
    results = {line["name"]: line for line in lines[1:]}
    assert results.keys() == {
        "encode_model_clips_per_second",
        "encode_pipeline_clips_per_second",
        "encode_transformers_clips_per_second",
        "encode_pipeline_share",
        "encode_context_cost",
        "encode_distance",
    }
    assert [line["context"] for line in lines[1:] if "context" in line] == ["frame", "prefix", "prefix, window of 4"]
    distance = results.pop("encode_distance")
    assert 0 <= distance["value"] < distance["goal"]
    assert all(len(line["samples"]) == 2 and line["value"] > 0 for line in results.values())

"""The benchmark for GPUs, tried on the stand-in library: where a GPU is at hand it has to run at once."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench" / "nvml_gpu.py"
SMI = """
import os, sys
used, total, _ = map(int, open(os.environ["NVML_STUB"]).readline().split())
processes = [line.split()[1:] for line in open(os.environ["NVML_STUB"]) if line.startswith("process")]
query = sys.argv[1].partition("=")[2]
if query == "pid,used_memory":
    print("\\n".join(", ".join(process) for process in processes))
else:
    print({"memory.used": used + OFF, "memory.free": total - used}.get(query, "GPU-00000000-stub, stand-in, 1.0"))
"""
WORKER = """
import os, sys
def show(mib):
    path = os.environ["NVML_STUB"]
    open(path + ".new", "w").write(f"{500 + mib} 10500 500\\nprocess {os.getpid()} {400 + mib}\\n")
    os.replace(path + ".new", path)
    print(mib, flush=True)
show(0)
for line in sys.stdin:
    show(int(line))
"""
RENDERER = 'import os, pathlib; pathlib.Path(os.environ["CLIP_DIR"], "taken.txt").write_text("0")'


def run(gpus, tmp_path, off=0):
    smi = tmp_path / "smi"
    smi.write_text(f"#!{sys.executable}\nOFF = {off}\n{SMI}")
    smi.chmod(0o755)
    gpus.write("500 10500 500\n")
    worker, renderer = (shlex.join([sys.executable, "-c", text]) for text in (WORKER, RENDERER))
    command = [sys.executable, BENCH, "--smi", smi, "--worker", worker, "--renderer", renderer]
    return subprocess.run(
        command, env=os.environ | gpus.environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(("off", "status"), [(0, 0), (300, 1)])
def test_the_gpu_benchmark_runs_and_tells_a_difference_from_none(gpus, tmp_path, off, status):
    done = run(gpus, tmp_path, off)
    assert done.returncode == status, done.stdout + done.stderr
    first, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert first == {"gpu": "stand-in", "driver": "1.0"}
    held = next(line["held"] for line in lines if "held" in line)
    assert "GPU 0 on" in held
    results = {line["name"]: line for line in lines if "name" in line}
    assert results["vram_agent_difference_mib"]["value"] == off
    assert results["vram_agent_step_mib"]["value"] == 0
    assert results["vram_agent_holder_mib"]["value"] == 0
    assert results["vram_agent_delay_seconds"]["value"] > 0
    assert results["vram_local_clips_while_held"]["value"] == 0
    assert results["vram_local_release_seconds"]["value"] > 0


def test_without_a_gpu_it_says_so_in_a_line():
    done = subprocess.run([sys.executable, BENCH, "--smi", "/nonexistent"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("no GPU here: /nonexistent: ")
    assert len(done.stderr.splitlines()) == 1

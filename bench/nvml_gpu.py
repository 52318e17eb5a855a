"""The agent's numbers against nvidia-smi's on a real GPU, while torch takes and frees memory in steps; then a run that
is held by what torch has, and goes on when it is freed. Needs nothing but a GPU, its driver and the project's .venv.

    .venv/bin/python bench/nvml_gpu.py

One JSON object a line: name, value, goal, better, spread, samples; value is the median of the samples, spread half the
distance between the largest and the smallest. Ends with 1 where a goal is missed.

- ``vram_agent_difference_mib``: used memory by the agent less by nvidia-smi, at rest after each step, without its sign
- ``vram_agent_step_mib``: how much use by the agent changed in a step, less what torch took or freed
- ``vram_agent_holder_mib``: what the agent says that torch's process has, less what nvidia-smi says
- ``vram_agent_delay_seconds``: from the moment that torch has its memory until the agent shows it; it looks each 0.2 s
- ``vram_local_clips_while_held``: clips that ``clipfarm local`` started while torch had more than ``vram.high``
- ``vram_local_release_seconds``: from the moment that torch has freed it until all three clips are rendered
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

MIB = 2**20
CLIPFARM = [sys.executable, "-m", "clipfarm.cli.main"]
STEPS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.5, 0.25, 0.0)
"""Parts of what is free that torch has, one after the other."""
LIMIT_SECONDS = 120.0
WORKER = """
import sys, torch
torch.empty(1, device="cuda")
held = None
print(0, flush=True)
for line in sys.stdin:
    held = None
    torch.cuda.empty_cache()
    if int(line):
        held = torch.empty(int(line) * 2**20, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    print(torch.cuda.memory_reserved() // 2**20, flush=True)
"""
RENDERER = """
import os, pathlib, torch
taken = torch.empty(256 * 2**20, dtype=torch.uint8, device="cuda")
torch.cuda.synchronize()
pathlib.Path(os.environ["CLIP_DIR"], "taken.txt").write_text(str(taken.numel()))
"""


@dataclass(frozen=True)
class Smi:
    """What nvidia-smi says of one GPU, MiB."""

    program: str
    uuid: str

    def used(self) -> float:
        """Return used memory, without the driver's own."""
        return float(self._ask("--query-gpu=memory.used", f"--id={self.uuid}")[0])

    def free(self) -> float:
        """Return free memory."""
        return float(self._ask("--query-gpu=memory.free", f"--id={self.uuid}")[0])

    def of_process(self, pid: int) -> float | None:
        """Return what a process has; None where it does not say, as in many containers."""
        lines = self._ask("--query-compute-apps=pid,used_memory", f"--id={self.uuid}")
        found = [line.split(", ")[1] for line in lines if line.split(", ")[0] == str(pid)]
        return float(found[0]) if found and found[0].isdecimal() else None

    def _ask(self, *what: str) -> list[str]:
        return ask(self.program, *what)


def ask(program: str, *what: str) -> list[str]:
    """Return nvidia-smi's answer by lines."""
    command = [program, *what, "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


class Torch:
    """A process that has as much GPU memory as it is told to."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.pid = self._process.pid
        self._answer()

    def hold(self, mib: int) -> int:
        """Have so much; return what it really has, MiB."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mib}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the process that takes GPU memory has ended")
        return int(line)


class Agent:
    """``clipfarm vram-agent`` as a process."""

    def __init__(self, environment: dict[str, str], log: Path, uuid: str) -> None:
        self._uuid, self._log = uuid, log
        with log.open("w") as output:
            command = [*CLIPFARM, "vram-agent", "--port", "0", "--interval", "0.2"]
            self.process = subprocess.Popen(command, env=environment, stderr=output)
        marker = "/metrics at "
        wait_for(lambda: marker in log.read_text(), "the agent to serve")
        self._url = log.read_text().partition(marker)[2].splitlines()[0] + "/metrics"

    def used(self) -> float:
        """Return used memory, MiB."""
        [(_, value)] = self._values("DCGM_FI_DEV_FB_USED")
        return value

    def of_process(self, pid: int) -> float | None:
        """Return what a process has, MiB; None where it does not say."""
        told = self._values("clipfarm_agent_holder_bytes")
        found = [value / MIB for labels, value in told if f"pid {pid}" in labels["holder"]]
        return found[0] if found else None

    def _values(self, name: str) -> list[tuple[dict[str, str], float]]:
        with urllib.request.urlopen(self._url, timeout=10) as answer:  # noqa: S310 - the agent's own address
            text = answer.read().decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return [(s.labels, s.value) for s in samples if s.name == name and s.labels["UUID"] == self._uuid]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smi", default="nvidia-smi", help="program that answers as nvidia-smi")
    parser.add_argument(
        "--worker", default=shlex.join([sys.executable, "-c", WORKER]), help="takes memory as torch does"
    )
    parser.add_argument(
        "--renderer", default=shlex.join([sys.executable, "-c", RENDERER]), help="takes memory for a clip"
    )
    arguments = parser.parse_args()
    try:
        uuid, name, driver = ask(arguments.smi, "--query-gpu=uuid,name,driver_version")[0].split(", ")
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        raise SystemExit(f"no GPU here: {arguments.smi}: {error}") from None
    print(json.dumps({"gpu": name, "driver": driver}), flush=True)
    smi, environment = Smi(arguments.smi, uuid), os.environ | {"CUDA_VISIBLE_DEVICES": uuid, "COLUMNS": "200"}
    with tempfile.TemporaryDirectory(prefix="clipfarm-bench-") as folder:
        torch = Torch(shlex.split(arguments.worker), environment)
        try:
            good = compare(smi, torch, environment, Path(folder))
            good &= hold_a_run(smi, torch, environment, Path(folder), shlex.split(arguments.renderer))
        finally:
            torch.end()
    raise SystemExit(0 if good else 1)


def compare(smi: Smi, torch: Torch, environment: dict[str, str], folder: Path) -> bool:
    """Take and free memory in steps, and hold the agent against nvidia-smi after each."""
    differences, steps, holders, delays = [], [], [], []
    agent = Agent(environment, folder / "agent.log", smi.uuid)
    try:
        free, has = smi.free(), torch.hold(0)
        settle(agent.used)
        for part in STEPS:
            before = agent.used()
            change = -has + (has := torch.hold(int(part * free)))
            began = time.monotonic()
            if abs(change) > 1:
                wait_for(lambda: abs(agent.used() - before) > abs(change) / 2, "the agent to show it")  # noqa: B023
                delays.append(time.monotonic() - began)
            settle(agent.used)
            differences.append(abs(agent.used() - smi.used()))
            steps.append(abs(agent.used() - before - change))
            mine, theirs = agent.of_process(torch.pid), smi.of_process(torch.pid)
            if mine is not None and theirs is not None:
                holders.append(abs(mine - theirs))
    finally:
        agent.process.terminate()
        agent.process.wait(timeout=30)
    # nvidia-smi rounds to whole MiB; torch's own pools come in blocks of 2 MiB.
    good = report("vram_agent_difference_mib", differences, goal=1.0)
    good &= report("vram_agent_step_mib", steps, goal=4.0)
    good &= report("vram_agent_holder_mib", holders, goal=1.0)
    return report("vram_agent_delay_seconds", delays, goal=0.5) and good


def hold_a_run(smi: Smi, torch: Torch, environment: dict[str, str], folder: Path, renderer: list[str]) -> bool:
    """Start a run while torch has most of the memory; free it, and wait for the run's end."""
    document = yaml.safe_load(RUN)
    document["spec"]["render"]["command"] = renderer
    (folder / "run.yaml").write_text(yaml.safe_dump(document))
    torch.hold(int(0.7 * smi.free()))
    command = [*CLIPFARM, "local", str(folder / "run.yaml"), "--output", str(folder / "clips")]
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        print(json.dumps({"held": line_with("held ", run.stdout)}), flush=True)
        time.sleep(3.0)  # what is not held would have started by now
        started = len(list((folder / "clips").glob("clip_*")))
        torch.hold(0)
        began = time.monotonic()
        output, _ = run.communicate(timeout=LIMIT_SECONDS)
        seconds, done = time.monotonic() - began, len(list((folder / "clips").glob("clip_*")))
    finally:
        run.kill()
    if run.returncode or done != 3:
        raise SystemExit(f"the run ended with {run.returncode} and {done} of 3 clips:\n{output}")
    good = report("vram_local_clips_while_held", [started], goal=0)
    return report("vram_local_release_seconds", [seconds]) and good


RUN = """
apiVersion: clipfarm.dev/v1alpha1
kind: BenchmarkRun
metadata: {name: beside-torch}
spec:
  seed: 1
  workers: 1
  clips: {start: 0, end: 2}
  experiment:
    phases:
    - {name: A, clips: {start: 0, end: 2}, friction: {min: 0, max: 0}, mass: {min: 1, max: 2}}
  render: {device: cuda}
  vram: {high: 0.6, low: 0.5, checkInterval: 0.2s, staleAfter: 10s, allocationTime: 0s}
  encode: {enabled: false}
"""


def line_with(text: str, stream: IO[str] | None) -> str:
    """Return the first line that contains a text."""
    assert stream is not None
    for line in stream:
        if text in line:
            return line.strip()
    raise SystemExit(f"the run ended without: {text}")


def settle(used: Callable[[], float]) -> None:
    """Wait until a value has been the same for half a second."""
    last, since = used(), time.monotonic()
    deadline = since + LIMIT_SECONDS
    while time.monotonic() < min(deadline, since + 0.5):
        time.sleep(0.1)
        if abs(used() - last) > 0.5:
            last, since = used(), time.monotonic()


def wait_for(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition, with a limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {LIMIT_SECONDS:g} s for {what}")
        time.sleep(0.01)


def report(name: str, samples: list[float], goal: float | None = None) -> bool:
    """Print a figure; tell whether it is within its goal."""
    if not samples:
        print(json.dumps({"name": name, "value": None, "why": "neither tells, as in many containers"}), flush=True)
        return True
    value, spread = statistics.median(samples), (max(samples) - min(samples)) / 2
    rounded = [round(sample, 3) for sample in samples]
    figure = {"name": name, "value": round(value, 3), "goal": goal, "better": "lower", "spread": round(spread, 3)}
    print(json.dumps(figure | {"samples": rounded}), flush=True)
    return goal is None or value <= goal


if __name__ == "__main__":
    main()

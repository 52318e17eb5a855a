"""Runs that share GPUs, on a control plane of its own, for some minutes: memory, progress, and what the operator takes.

    .venv/bin/python bench/shared_gpus.py                       # three runs on one GPU with room for ten clips
    .venv/bin/python bench/shared_gpus.py --runs 30 --clips 500 --nodes 50 --gpus 8 --workers 20 --minutes 5

Each line of output is one JSON object, as of bench/gate.py:

- ``shared_gpu_most_use``: the largest part of any GPU that clips had at any look, one a second, those that are on their
  way included
- ``shared_gpu_jain``: Jain's index of the runs' progress
- ``shared_gpu_least_per_minute``: the fewest clips that any run completed in any minute after the first
- ``shared_ungate_p50_ms`` and ``shared_ungate_p99_ms``: from the decision that a pod may start until its gate is off
- ``shared_patch_p99_ms``: how long the API server takes meanwhile for a patch of a ConfigMap, of which a thread here
  makes four a second: what no operator can be faster than
- ``shared_operator_mib`` and ``shared_operator_cores``; the latter after the first minute
"""

import argparse
import os
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

from gate import ROOT
from lines import print_line, say
from operator_usage import Usage, quantile

from helpers.cluster import ControlPlane, Namespace, cluster
from helpers.exporters import TOTAL_MIB
from helpers.gpu_nodes import GpuNodes
from helpers.operators import CLAIMS, CONFIG_MAPS, RUNS, Operator, Runs, run_document

PATCH_SECONDS = 0.25
"""Between two patches that show how long the API server takes."""
FITS = 10
"""Clips of a GPU below ``vram.high``."""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clips", type=int, default=2000, help="of each run")
    parser.add_argument("--workers", type=int, default=9, help="of each run")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--gpus", type=int, default=1, help="of each node")
    parser.add_argument("--seconds", default="20-30", help="how long a pod runs")
    parser.add_argument("--minutes", type=int, default=10)
    options = parser.parse_args()
    name = f"bench-{os.getpid()}"
    try:
        plane = ControlPlane.up(name, "--nodes", options.nodes, "--cpu", 32, "--memory", "2000Gi")
        done = plane.kubectl("apply", "-f", ROOT / "crds" / "benchmarkruns.clipfarm.dev.yaml")
        assert not done.returncode, done.stderr
        plane.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
        time.sleep(3)  # the namespace's service account, and the definition
        with tempfile.TemporaryDirectory() as folder:
            measure(plane, Namespace(plane.api, "bench"), Path(folder), options)
    finally:
        cluster("down", "--name", name)


def measure(plane: ControlPlane, namespace: Namespace, folder: Path, options: argparse.Namespace) -> None:
    """Let the runs go on for some minutes."""
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    namespace.create(CLAIMS, {"metadata": {"name": "clips"}, "spec": claim})
    nodes = tuple(f"node-{number}" for number in range(options.nodes))
    clip_mib = TOTAL_MIB / (FITS / 0.85 + 0.2)
    gpus = GpuNodes(namespace, nodes, options.gpus, clip_mib, look_seconds=1.0)
    # All namespaces, as the chart has it: the room of nodes counts every pod.
    operator = Operator(plane, namespace, folder, "--vram-endpoint", gpus.url, everywhere=True).start()
    try:
        operator.address()
        patches = Patches(namespace)
        names = [f"run-{number}" for number in range(options.runs)]
        for each in names:
            namespace.create(RUNS, document(each, options, clip_mib))
        rendered = [[0] * options.runs]
        begun, used = time.monotonic(), 0.0
        for minute in range(options.minutes):
            time.sleep(max(0.0, begun + 60 * (minute + 1) - time.monotonic()))
            runs = Runs(namespace)
            rendered.append([runs.status(each).get("rendered", 0) for each in names])
            say(f"minute {minute + 1}: {sum(rendered[-1])} clips, at most {max(gpus.most.values()) / TOTAL_MIB:.2f}")
            if not minute:
                since, used = time.monotonic(), Usage.of(operator).cpu_seconds
        usage, text = Usage.of(operator), operator.http("/metrics")[1]
        cores = (usage.cpu_seconds - used) / (time.monotonic() - since)
        patches.end()
    finally:
        operator.end()
        gpus.close()
    last = rendered[-1]
    least = min(
        after - before for first, then in pairwise(rendered[1:]) for before, after in zip(first, then, strict=True)
    )
    about = {"runs": options.runs, "gpus": options.nodes * options.gpus, "minutes": options.minutes}
    about |= {"load": round(os.getloadavg()[2], 1), "clips": sum(last)}
    print_line("shared_gpu_most_use", [max(gpus.most.values()) / TOTAL_MIB], 0.85, **about)
    print_line(
        "shared_gpu_jain", [sum(last) ** 2 / (len(last) * sum(each**2 for each in last) or 1)], 0.95, better="higher"
    )
    print_line("shared_gpu_least_per_minute", [float(least)], 1, better="higher")
    print_line("shared_ungate_p50_ms", [1000 * quantile(text, "clipfarm_release_seconds", 0.5)], None)
    print_line("shared_ungate_p99_ms", [1000 * quantile(text, "clipfarm_release_seconds", 0.99)], 250)
    print_line("shared_patch_p99_ms", [1000 * patches.quantile(0.99)], None)
    print_line("shared_operator_mib", [usage.peak_mib], 150)
    print_line("shared_operator_cores", [cores], 0.25)


class Patches:
    """Patches a ConfigMap again and again, and notes how long the API server takes for it."""

    def __init__(self, namespace: Namespace) -> None:
        self.seconds: list[float] = []
        self._namespace, self._ended = namespace, threading.Event()
        namespace.create(CONFIG_MAPS, {"metadata": {"name": "patched"}})
        self._thread = threading.Thread(target=self._patch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Make no more of them."""
        self._ended.set()
        self._thread.join()

    def quantile(self, part: float) -> float:
        """Return a quantile of the times, seconds."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(part * len(self.seconds)))]

    def _patch(self) -> None:
        while not self._ended.wait(PATCH_SECONDS):
            begun = time.monotonic()
            self._namespace.patch(CONFIG_MAPS, "patched", body={"data": {"at": str(begun)}})
            self.seconds.append(time.monotonic() - begun)


def document(name: str, options: argparse.Namespace, clip_mib: float) -> dict[str, object]:
    """Return a run whose clips begin to use their memory at once, and that says how much."""
    vram = {"perClip": f"{int(clip_mib)}Mi", "allocationTime": "5s"}
    render = {"keepPods": "failed", "device": "cuda"}
    how = {"seconds": options.seconds, "workers": options.workers, "storage": {"claimName": "clips"}}
    return run_document(name, options.clips, render=render, vram=vram, **how)


if __name__ == "__main__":
    main()

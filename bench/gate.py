"""What the gate costs: ``make bench-gate``, about fifteen minutes on two idle cores, on a control plane of its own.

Each line of output is one JSON object: name, value, goal, whether higher or lower is better, spread, samples. A plain
Indexed Job and a run by the real operator take turns, with pods that kwok plays; each sample of a ratio is the two
makespans of one pair, from the request that creates the Job or the run until the last clip is complete.

- ``gate_ratio``: with pods that run 5 to 6 seconds
- ``gate_ratio_stress``: with pods that end at once, where the control plane itself is all there is to wait for
- with ``--vram``: ``gate_ratio_vram``, the same with pods of 5 to 6 seconds where the gate also goes by the memory of
  GPUs: 50 nodes of 8, each with an exporter of its own that is asked every 5 seconds and tells what the pods there have
  in use; and the operator's ``operator_vram_rss_mib`` and ``operator_vram_cpu_seconds`` for each 1,000 clips
- with ``--scale``: a run of 10,000 clips, 500 at a time: ``operator_rss_mib``, ``operator_cpu_seconds`` for each 1,000
  clips, ``operator_writes_per_clip`` (gates, statuses, Jobs; ``deletions`` beside it are requests, each of which takes
  up to 100 pods), ``ungate_p99_ms``, from the decision that a pod may start until its gate is off, by the operator's
  own histogram, and ``operator_etcd_mib_per_1000_clips``, live data in etcd after the run, less what was there before
  it; ``mib`` beside it says of what
- with ``--handover``: two operators, and the one that acts is ended: ``operator_handover_seconds`` from SIGKILL, and
  ``operator_handover_sigterm_seconds`` from SIGTERM, until the other one has taken the first gate off
"""

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lines import print_line, say
from operator_usage import ALL, Etcd, Usage, metric, quantile, released, stands

from clipfarm.manifests import job as job_manifest
from clipfarm.manifests.common import Images, Owner
from clipfarm.run import Run
from helpers.cluster import ControlPlane, Namespace, cluster
from helpers.exporters import run_pod
from helpers.gpu_nodes import GpuNodes, NodeExporter
from helpers.operators import CLAIMS, JOBS, RUNS, Operator, run_document

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 1800.0
VRAM_NODES, VRAM_GPUS = 50, 8
CLIP_MIB = 1024.0
EXPORTERS = "exporters"


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--parallel", type=int, default=100)
    parser.add_argument("--only", choices=["ratio", "stress"])
    parser.add_argument("--vram", action="store_true", help="measure what the gate costs with GPU memory read instead")
    parser.add_argument("--scale", action="store_true", help="measure the operator with many clips instead")
    parser.add_argument("--scale-clips", type=int, default=10_000)
    parser.add_argument("--scale-parallel", type=int, default=500)
    parser.add_argument(
        "--scale-seconds", default="15-20", help="how long a pod runs; a clip of 16 frames at 256 takes 17"
    )
    parser.add_argument("--handover", action="store_true", help="measure how soon another operator takes over instead")
    parser.add_argument("--rounds", type=int, default=5, help="handovers of each kind")
    options = parser.parse_args()
    nodes = ("--nodes", VRAM_NODES, "--cpu", 32, "--gpus", VRAM_GPUS) if options.vram else ("--nodes", 6, "--cpu", 200)
    with _bench(*nodes) as bench:
        if options.vram:
            bench.vram(options.pairs, options.clips, options.parallel)
            return
        if options.handover:
            bench.handover(options.rounds)
            return
        if options.scale:
            bench.scale(options.scale_clips, options.scale_parallel, options.scale_seconds)
            return
        for name, seconds, goal in (("ratio", "5-6", 1.03), ("stress", "0", 1.20)):
            if options.only in (None, name):
                bench.ratio(name, seconds, goal, options.pairs, options.clips, options.parallel)


@contextmanager
def _bench(*nodes: object) -> Iterator["Bench"]:
    name = f"bench-{os.getpid()}"
    try:
        control_plane = ControlPlane.up(name, *nodes, "--memory", "2000Gi")
        definition = ROOT / "crds" / "benchmarkruns.clipfarm.dev.yaml"
        done = control_plane.kubectl("apply", "-f", definition)
        assert not done.returncode, done.stderr
        control_plane.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
        time.sleep(3)  # the namespace's service account, and the definition
        with tempfile.TemporaryDirectory() as folder:
            yield Bench(control_plane, Namespace(control_plane.api, "bench"), Path(folder))
    finally:
        cluster("down", "--name", name)


class Bench:
    """Jobs and runs on one control plane."""

    def __init__(self, control_plane: ControlPlane, namespace: Namespace, folder: Path) -> None:
        self._control_plane = control_plane
        self._namespace = namespace
        self._folder = folder
        claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
        namespace.create(CLAIMS, {"metadata": {"name": "clips"}, "spec": claim})

    def ratio(self, name: str, seconds: str, goal: float, pairs: int, clips: int, parallel: int) -> None:
        """Measure pairs, and print the median of their ratios."""
        with self._operator():
            self._pairs("gate_ratio" if name == "ratio" else "gate_ratio_stress", goal, pairs, clips, parallel, seconds)

    def vram(self, pairs: int, clips: int, parallel: int) -> None:
        """Measure pairs with a gate that goes by GPU memory, and what the operator takes for it."""
        on_gpus = {"render": {"device": "cuda"}, "vram": {"perClip": "1Gi"}}
        exporters = ("--dcgm-selector", "app=dcgm-exporter", "--dcgm-namespace", EXPORTERS)
        with self._gpu_nodes(), self._operator(*exporters) as operator:
            self._pairs("gate_ratio_vram", 1.03, pairs, clips, parallel, "5-6", **on_gpus)
            usage = Usage.of(operator)
        print_line("operator_vram_rss_mib", [usage.peak_mib], 150)
        print_line("operator_vram_cpu_seconds", [usage.cpu_seconds / (pairs * clips) * 1000], None)

    def scale(self, clips: int, parallel: int, seconds: str) -> None:
        """Measure the operator in one large run."""
        etcd = Etcd(self._control_plane.status()["etcd"])
        before = etcd.live_mib()
        with self._operator() as operator:
            begun = time.monotonic()
            self._namespace.create(RUNS, _document("scale", clips, parallel, seconds))
            makespan = self._until_complete("scale-render", begun)
            self._until(lambda: not self._pods("clipfarm.dev/role=render"), "pods that have succeeded are deleted")
            time.sleep(3)  # the last status
            usage, text = Usage.of(operator), operator.http("/metrics")[1]
            after = etcd.live_mib()
        self._clear(RUNS, "scale")
        say(f"{clips} clips, {parallel} at a time: {makespan:.0f} s")
        writes = sum(
            value
            for labels, value in metric(text, "clipfarm_api_requests_total")
            if 'verb="PATCH"' in labels or 'verb="POST"' in labels
        )
        print_line("operator_rss_mib", [usage.peak_mib], 150)
        print_line("operator_cpu_seconds", [usage.cpu_seconds / clips * 1000], None)
        deletions = sum(
            value for labels, value in metric(text, "clipfarm_api_requests_total") if 'verb="DELETE"' in labels
        )
        print_line("operator_writes_per_clip", [writes / clips], 1.1, deletions=round(deletions))
        print_line("ungate_p99_ms", [1000 * quantile(text, "clipfarm_release_seconds", 0.99)], 250)
        grown = {kind: after[kind] - before.get(kind, 0.0) for kind in after}
        print_line(
            "operator_etcd_mib_per_1000_clips",
            [grown[ALL] / clips * 1000],
            2,
            mib={kind: round(mib, 2) for kind, mib in grown.items() if mib >= 0.005},
        )

    def handover(self, rounds: int) -> None:
        """Measure how long nothing starts after the operator that acts has ended."""
        operators = []
        for name in ("a", "b"):
            folder = self._folder / name
            folder.mkdir()
            made = Operator(self._control_plane, self._namespace, folder, "--installation", "bench")
            operators.append(made.start())
        self._namespace.create(RUNS, _document("handover", 20_000, 20, "1-2"))
        samples: dict[signal.Signals, list[float]] = {}
        for number in (signal.SIGKILL, signal.SIGTERM):
            for _ in range(rounds):
                self._until(
                    lambda: sorted(map(stands, operators)) == ["leads", "stands by"], "one leads, one stands by"
                )
                acting, other = sorted(operators, key=stands)
                self._until(lambda acting=acting: released(acting) > 0, "clips start")
                begun = time.monotonic()
                acting.send(number)
                self._until(lambda other=other: released(other) > 0, "the other one starts clips", 0.02)
                samples.setdefault(number, []).append(time.monotonic() - begun)
                acting.end(signal.SIGKILL)
                acting.start()
        for operator in operators:
            operator.end()
        self._clear(RUNS, "handover")
        print_line("operator_handover_seconds", samples[signal.SIGKILL], 20)
        print_line("operator_handover_sigterm_seconds", samples[signal.SIGTERM], 2)

    def _pods(self, labels: str = "") -> list[Any]:
        path = self._namespace.api.path("v1/pods", self._namespace.name)
        found: list[Any] = self._namespace.api.request("GET", f"{path}?limit=1&labelSelector={labels}")["items"]
        return found

    def _until(self, holds: Callable[[], bool], what: str, pause: float = 0.5) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(what)
            time.sleep(pause)

    @contextmanager
    def _operator(self, *options: object) -> Iterator[Operator]:
        operator = Operator(self._control_plane, self._namespace, self._folder, *options).start()
        try:
            operator.address()
            yield operator
        finally:
            operator.end()

    @contextmanager
    def _gpu_nodes(self) -> Iterator[None]:
        """Play the GPUs of all nodes, and an exporter on each."""
        names = tuple(f"node-{number}" for number in range(VRAM_NODES))
        with ExitStack() as stack:
            gpus = GpuNodes(self._namespace, names, VRAM_GPUS, CLIP_MIB, look_seconds=1.0)
            stack.callback(gpus.close)
            self._control_plane.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": EXPORTERS}})
            time.sleep(3)  # the namespace's service account
            inside = Namespace(self._control_plane.api, EXPORTERS)
            for name in names:
                exporter = NodeExporter(gpus, name)
                stack.callback(exporter.close)
                run_pod(inside, f"exporter-{name}", name, exporter.port, {"app": "dcgm-exporter"})
            yield

    def _pairs(self, name: str, goal: float, pairs: int, clips: int, parallel: int, seconds: str, **spec: Any) -> None:
        samples, plain, gated = [], [], []
        for number in range(pairs):
            document = _document(f"pair-{number}", clips, parallel, seconds, **spec)
            first = self._plain(document, parallel)
            second = self._gated(document)
            plain.append(first)
            gated.append(second)
            samples.append(second / first)
            say(f"{name}, pair {number + 1}: plain {first:.1f} s, gated {second:.1f} s")
        print_line(
            name,
            samples,
            goal,
            plain_seconds=[round(each, 1) for each in plain],
            gated_seconds=[round(each, 1) for each in gated],
        )

    def _plain(self, document: dict[str, Any], parallel: int) -> float:
        run = Run.model_validate(document)
        made = job_manifest.job(run, Owner(self._namespace.name, "none", {}), Images(), parallel)
        made["metadata"]["name"] = f"plain-{run.name}"
        made["metadata"]["ownerReferences"] = []
        # The operator is to leave it alone.
        for metadata in (made["metadata"], made["spec"]["template"]["metadata"]):
            metadata["labels"] = {}
        del made["spec"]["template"]["spec"]["schedulingGates"]
        begun = time.monotonic()
        self._namespace.create(JOBS, made)
        return self._until_complete(made["metadata"]["name"], begun)

    def _gated(self, document: dict[str, Any]) -> float:
        begun = time.monotonic()
        self._namespace.create(RUNS, document)
        name = document["metadata"]["name"]
        seconds = self._until_complete(f"{name}-render", begun)
        self._clear(RUNS, name)
        return seconds

    def _until_complete(self, job: str, begun: float) -> float:
        path = self._namespace.api.path(JOBS, self._namespace.name) + f"?fieldSelector=metadata.name={job}"
        while time.monotonic() < begun + LIMIT_SECONDS:
            for event in self._namespace.api.watch(path):
                status = event["object"].get("status", {})
                if any(each["type"] == "Complete" for each in status.get("conditions", ())):
                    seconds = time.monotonic() - begun
                    self._clear(JOBS, job)
                    return seconds
        raise TimeoutError(job)

    def _clear(self, resource: str, name: str) -> None:
        """Delete an object and wait until its pods are gone: they would be in the way of the next."""
        if resource == JOBS and name.endswith("-render"):
            return  # goes with its run
        self._namespace.delete(resource, name)
        self._until(lambda: not self._pods(), "pods are gone")
        time.sleep(1)


def _document(name: str, clips: int, parallel: int, seconds: str, **spec: Any) -> dict[str, Any]:
    # As a user has it: pods that have succeeded go.
    render = {"keepPods": "failed"} | spec.pop("render", {})
    return run_document(
        name, clips, seconds=seconds, workers=parallel, storage={"claimName": "clips"}, render=render, **spec
    )


if __name__ == "__main__":
    main()

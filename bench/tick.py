"""What one tick of the operator costs the processor: runs that share a fleet of GPUs, played in this process.

    .venv/bin/python bench/tick.py                        # 30 runs of 20 clips at a time on 400 GPUs
    .venv/bin/python bench/tick.py --profile /tmp/tick.prof

No API server takes part: what the operator would ask of one is carried out on its own store at once. Pods begin two
seconds after they are released, take 20 to 30 s, and leave their place to new ones at the gate; each GPU has a new
reading every five seconds. So the decisions are those of bench/shared_gpus.py with ``--runs 30 --nodes 50 --gpus 8``,
without the noise of the other programs there.

The lines of output are JSON objects, as of bench/gate.py:

- ``tick_ms``: processor time of a tick for which all runs are due, once clips have ended for a while
- ``tick_starts``: clips that it starts, on average; ``decisions`` is a hash of all of them, which a change that only
  makes a tick cheaper leaves as it is
"""

import argparse
import asyncio
import cProfile
import gc
import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from lines import print_line

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.views import JobView, RunView
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process.operator import Operator
from clipfarm.decide.admission import To
from clipfarm.manifests.common import Images
from clipfarm.world import GpuId, Reading
from clipfarm_contract.indexes import Indexes
from helpers.runs import document

WALL = 1.8e9
STEP_SECONDS = 0.5
"""Between two ticks."""
BEGINS_SECONDS, SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 20.0, 30.0
READING_SECONDS = 5.0
TOTAL_MIB, CLIP_MIB, IDLE_MIB = 81_920.0, 6_826.0, 500.0
ALL_REQUEST = (("cpu", 1000), ("memory", 2 * 2**30), ("pods", 1))


class Fleet:
    """Takes the place of the API server, of the Job controller, of the kubelets and of an exporter."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.now = 0.0
        self.operator = Operator(None, Images(), clock=lambda: self.now, wall=lambda: WALL + self.now)
        self.operator._ticker.applier = self.operator._ticker.gatekeeper = self
        self.store, self._random = self.operator.store, random.Random(1)  # noqa: S311
        self.store.sees_all_pods = True
        self._at: list[tuple[float, Callable[[], None]]] = []
        self._next: Counter[str] = Counter()
        """The next index of each run."""
        self._done: dict[str, list[int]] = {}
        names = [f"node-{number}" for number in range(options.nodes)]
        offered = {"cpu": 32_000, "memory": 2000 * 2**30, "pods": 110}
        for name in names:
            self.store.nodes.put(name, NodeView(name, 32, 0, {"kubernetes.io/hostname": name}, (), True, {}, offered))
        self._gpus = [(name, index) for name in names for index in range(options.gpus)]
        self._used: Counter[tuple[str, int]] = Counter()
        self.starts, self.decisions = 0, hashlib.sha256()
        for number in range(options.runs):
            self._add_run(f"run-{number}", options)

    def _add_run(self, name: str, options: argparse.Namespace) -> None:
        vram = {"perClip": f"{int(CLIP_MIB)}Mi", "allocationTime": "5s"}
        render, storage = {"keepPods": "failed", "device": "cuda", "clipsPerPod": 1}, {"claimName": "clips"}
        made = document(options.clips, vram=vram, render=render, workers=options.workers, storage=storage)
        made["metadata"] = {"name": name, "namespace": "bench", "creationTimestamp": "2026-01-01T00:00:00Z"}
        self.store.runs.put(name, RunView(("bench", name), name, 1, {}, "", "", "", False, made))

    def begin(self) -> None:
        """Let the operator see its runs, and that they have their storage."""
        self.measure()
        self.tick()
        for tracked in self.operator.runs.values():
            tracked.answers.claim = "Bound"

    def measure(self) -> None:
        """Give each GPU a reading, as an exporter that is asked anew does; GPUs are told of at different times."""
        for number, (node, index) in enumerate(self._gpus):
            if self.now == 0 or (self.now / STEP_SECONDS + number) % (READING_SECONDS / STEP_SECONDS) < 1:
                gpu = GpuId(node, index, f"GPU-{node}-{index}")
                used = IDLE_MIB + CLIP_MIB * self._used[node, index]
                self.operator.gpus.readings[gpu] = Reading(gpu, used, TOTAL_MIB, self.now)

    def tick(self) -> None:
        """Look, decide and act for all runs."""
        self.operator.mark(None)
        asyncio.run(self.operator._tick())

    def pass_on(self) -> None:
        """Let time pass until the next tick."""
        self.now += STEP_SECONDS
        due = [work for at, work in self._at if at <= self.now]
        self._at = [each for each in self._at if each[0] > self.now]
        for work in due:
            work()
        self.measure()
        for job in list(self.store.jobs.all()):
            self._fill(job)

    def _fill(self, job: JobView) -> None:
        """Make the pods that a Job has not, at their gates."""
        name = job.run[1]
        for _ in range(job.parallelism - len(self.store.pods.of(job.run))):
            index = self._next[name]
            self._next[name] += 1
            uid = f"{name}-{index}"
            view = PodView(uid, uid, job.run, job.uid, index, 0, "", None, requests=ALL_REQUEST)
            self.store.pods.put(uid, view)

    def free(self, tracked: Tracked) -> bool:
        """Return that changes may begin, as of an applier."""
        return True

    def apply(self, tracked: Tracked, changes: Iterable[Change], status: dict[str, Any] | None, **_: bool) -> None:
        """Carry out what concerns Jobs, as of an applier."""
        for change in changes:
            if change.kind == "Job":
                spec, uid = change.body["spec"], f"job-of-{tracked.run.name}"
                if change.verb == "create":
                    job = JobView(tracked.key, uid, tracked.owner.uid, 0, False, False, "", Indexes(), Indexes())
                else:
                    job = self.store.jobs.of(tracked.key)[uid]
                self.store.jobs.put(uid, replace(job, parallelism=spec["parallelism"]))
                tracked.work.on_job.raised_at = self.now
            elif change.verb == "create":
                tracked.work.made[change.kind] = self.now
        if status is not None:
            tracked.status, tracked.work.status_written_at = status, self.now

    def answered(self) -> list[float]:
        """Return that no gate took any time, as of a gatekeeper."""
        return []

    def release(self, tracked: Tracked, pod: PodView, to: To) -> None:
        """Take a gate off at once, and let the pod begin and end later, as of a gatekeeper."""
        assert isinstance(to, GpuId)
        self.starts += 1
        self.decisions.update(f"{pod.name} {to} {self.now}".encode())
        gpu = GpuId(to.node, to.index, to.uuid)  # as it is read back from the pod's annotation
        released = replace(pod, gate=None, gpu=gpu, sent_to=to.node, node=to.node, reported=Reported("Bound"))
        self.store.pods.put(pod.uid, released)

        def works() -> None:
            at = WALL + self.now
            self.store.pods.put(pod.uid, replace(released, began=at, reported=Reported("Working", at)))
            self._used[to.node, to.index] += 1

        def ends() -> None:
            self.store.pods.drop(pod.uid)
            self._used[to.node, to.index] -= 1
            job = self.store.jobs.of(pod.run)[pod.owner]
            done = self._done.setdefault(pod.run[1], [])
            done.append(pod.index)
            self.store.jobs.put(job.uid, replace(job, completed=Indexes.of(done)))

        takes = self._random.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
        self._at += [(self.now + BEGINS_SECONDS, works), (self.now + BEGINS_SECONDS + takes, ends)]


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--clips", type=int, default=1000, help="of each run")
    parser.add_argument("--workers", type=int, default=20, help="of each run")
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--gpus", type=int, default=8, help="of each node")
    parser.add_argument("--before", type=float, default=90.0, help="seconds that are played before ticks are measured")
    parser.add_argument("--ticks", type=int, default=100, help="that are measured")
    parser.add_argument("--parts", type=int, default=5, help="of the ticks, whose means are the samples")
    parser.add_argument("--profile", help="where a profile of the measured ticks goes")
    options = parser.parse_args()
    fleet = Fleet(options)
    fleet.begin()
    while fleet.now < options.before:
        fleet.pass_on()
        fleet.tick()
    # As the operator does, see clipfarm.cli.operator.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    fleet.starts, took = 0, []
    profile = cProfile.Profile() if options.profile else None
    for _ in range(options.ticks):
        fleet.pass_on()
        if profile:
            profile.enable()
        begun = time.process_time()
        fleet.tick()
        took.append(1000 * (time.process_time() - begun))
        if profile:
            profile.disable()
    if profile:
        profile.dump_stats(options.profile)
    about = {"runs": options.runs, "gpus": options.nodes * options.gpus}
    size = options.ticks // options.parts
    parts = [took[size * number : size * (number + 1)] for number in range(options.parts)]
    print_line("tick_ms", [sum(part) / len(part) for part in parts], None, **about)
    print_line("tick_starts", [fleet.starts / options.ticks], None, decisions=fleet.decisions.hexdigest()[:12])


if __name__ == "__main__":
    main()

"""Which pods that have ended are deleted, and that what they told is written down before."""

import asyncio
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from clipfarm.cluster.acting import sweep
from clipfarm.cluster.acting.sweep import Sweeper
from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.errors import ApiError
from clipfarm.cluster.api.owners import INDEX_ANNOTATION
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing import results
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.manifests.common import Owner
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import RESULTS_ANNOTATION
from helpers.runs import make_run

KEY = ("ns", "test")
WALL = 1_800_000_000.0
VRAM = {"peakMiB": 100.0, "averageMiB": 50.0, "deviationMiB": 1.0, "allocatedAfter": 2.0}
MESSAGE = json.dumps({"clips": [{"index": 0, "exitCode": 0, "vram": VRAM}]})


def pod(index: int, phase: str, **metadata: Any) -> dict[str, Any]:
    ended = {"exitCode": 0, "message": MESSAGE, "finishedAt": api_time(WALL)}
    own = {"annotations": {INDEX_ANNOTATION: str(index)}, "ownerReferences": [{"uid": "job-1", "controller": True}]}
    return {
        "metadata": {"uid": f"uid-{index}"} | own | metadata,
        "status": {"phase": phase, "containerStatuses": [{"name": "render", "state": {"terminated": ended}}]},
    }


class Cluster:
    """The Job and its pods as the API server holds them.

    The process dies at the request that ``dies`` names, or counts; of a deletion half has been done by then.
    """

    def __init__(self, succeeded: range, failed: range = range(0), dies: str | int = "") -> None:
        self.pods = {index: pod(index, "Succeeded") for index in succeeded}
        self.pods |= {index: pod(index, "Failed") for index in failed}
        self.annotations: dict[str, str] = {}
        self.dies = dies
        self.requests: list[str] = []

    def _asked(self, what: str) -> None:
        self.requests.append(what)
        if self.dies in (what, len(self.requests)):
            raise SystemExit

    async def some(self, path: str, most: int, **_: Any) -> list[dict[str, Any]]:
        self._asked("list")
        return [pod for _, pod in sorted(self.pods.items()) if pod["status"]["phase"] == "Succeeded"][:most]

    async def get(self, path: str) -> dict[str, Any]:
        return {"metadata": {"uid": "job-1", "annotations": dict(self.annotations)}}

    async def patch(self, path: str, body: Any, kind: str) -> None:
        self._asked("write")
        self.annotations |= body["metadata"]["annotations"]

    async def delete_all(self, path: str, *, labelSelector: str, fieldSelector: str) -> None:  # noqa: N803
        named = re.search(r"job-completion-index in \(([0-9,]+)\)", labelSelector)
        assert named is not None
        assert "controller-uid=job-1" in labelSelector
        there = [index for index in map(int, named[1].split(",")) if index in self.pods]
        chosen = [index for index in there if f"status.phase={self.pods[index]['status']['phase']}" == fieldSelector]
        half = len(chosen) // 2
        for index in chosen[:half]:
            del self.pods[index]
        self._asked("delete")
        for index in chosen[half:]:
            del self.pods[index]

    @property
    def kept(self) -> results.Results:
        return results.read(self.annotations.get(RESULTS_ANNOTATION, ""))


class Process:
    """One life of the operator."""

    def __init__(
        self, cluster: Cluster, clips: int = 10, completed: str = "0-9", failed: str = "", **spec: Any
    ) -> None:
        self.now = 1000.0
        spec = {"render": {"device": "cuda"} | spec.pop("render", {})} | spec
        self.tracked = Tracked(Asked(make_run(clips, **spec), Owner("ns", "run-1", {}), 1), {})
        self.store = Store()
        view = JobView(KEY, "job-1", "run-1", 1, suspended=False, deleting=False, attempt="",
                       completed=Indexes.parse(completed), failed=Indexes.parse(failed), name="test-render",
                       results=cluster.annotations.get(RESULTS_ANNOTATION, ""))  # fmt: skip
        self.store.jobs.put("job-1", view)
        self.look()
        self.sweeper = Sweeper(cluster, self.store, {}, lambda: self.now, lambda: WALL)

    def look(self) -> None:
        look(self.tracked, Seen(self.store, Gpus(), self.now, WALL))

    def sweep(self) -> None:
        asyncio.run(self.sweeper.sweep(KEY, self.tracked))


def test_what_pods_tell_is_written_before_they_are_deleted():
    cluster = Cluster(range(10))
    Process(cluster).sweep()
    assert cluster.requests == ["list", "write", "delete"]
    assert (len(cluster.pods), cluster.kept.memory and cluster.kept.memory.clips) == (0, 10)


@pytest.mark.parametrize("dies", ["list", "write", "delete", ""])
def test_an_operator_that_dies_on_the_way_loses_nothing_and_counts_nothing_twice(dies):
    cluster = Cluster(range(10), dies=dies)
    process = Process(cluster)
    if dies:
        with pytest.raises(SystemExit):
            process.sweep()
        cluster.dies = ""
        process = Process(cluster)
    process.sweep()
    assert (cluster.pods, cluster.kept.memory and cluster.kept.memory.clips) == ({}, 10)
    memory = process.tracked.clip_memory.summary()
    assert memory is not None
    assert memory.clips == 10


@pytest.mark.parametrize("dies_at", range(1, 16))
def test_whenever_it_dies_while_pods_go_on_ending_each_counts_once(monkeypatch, dies_at):
    monkeypatch.setattr(sweep, "AT_ONCE", 10)
    cluster = Cluster(range(10, 25), dies=dies_at)
    process = Process(cluster, 40, "0-39")
    for ended in (range(0), range(10), range(25, 40)):
        cluster.pods |= {index: pod(index, "Succeeded") for index in ended}
        for index in ended:  # what is asked of the latest pod of each GPU is not written down by that
            process.tracked.clip_memory.add(f"uid-{index}", sweep.clips_vram(cluster.pods[index]))
        process.now += 100
        process.tracked.sweeping.swept = None
        try:
            process.sweep()
        except SystemExit:
            process = Process(cluster, 40, "0-39")
    process.now += 100
    process.tracked.sweeping.swept = None
    process.sweep()
    assert (cluster.pods, cluster.kept.memory and cluster.kept.memory.clips) == ({}, 40)


def test_many_go_in_several_requests():
    cluster = Cluster(range(250))
    Process(cluster, 250, "0-249").sweep()
    assert cluster.requests == ["list", "write", "delete"] * 3
    assert (len(cluster.pods), cluster.kept.memory and cluster.kept.memory.clips) == (0, 250)


def test_clips_on_a_cpu_tell_nothing_and_nothing_is_written():
    cluster = Cluster(range(10))
    Process(cluster, render={"device": "cpu"}).sweep()
    assert (cluster.requests, cluster.pods) == (["list", "delete"], {})


@pytest.mark.parametrize(
    "metadata",
    [
        {"finalizers": [sweep.TRACKED]},
        {"deletionTimestamp": "x"},
        {"annotations": {}},
        {"annotations": {INDEX_ANNOTATION: "9" * 5000}},
        {"ownerReferences": []},  # made by hand, with the labels of the Job's pods
    ],
)
def test_a_pod_that_the_job_controller_has_not_counted_stays(metadata):
    cluster = Cluster(range(10))
    cluster.pods[3]["metadata"] |= metadata
    Process(cluster).sweep()
    assert list(cluster.pods) == [3]
    early = Cluster(range(10))
    Process(early, completed="0-2,4-9").sweep()
    assert list(early.pods) == [3]


def test_a_run_that_keeps_all_pods_keeps_them():
    cluster = Cluster(range(10))
    Process(cluster, render={"keepPods": "all"}).sweep()
    assert cluster.requests == []


def test_a_run_that_ended_long_ago_keeps_the_pods_that_it_has():
    for age, requests in ((sweep.ENDED_SECONDS + 1, []), (10, ["list", "write", "delete"])):
        cluster = Cluster(range(10))
        process = Process(cluster)
        process.tracked.status["completionTime"] = api_time(WALL - age)
        process.sweep()
        assert cluster.requests == requests


@pytest.mark.parametrize(
    ("seconds", "completed", "swept"),
    [(0, 10, True), (1, 20, False), (59, 20, False), (61, 20, True), (61, 10, False), (6, 1010, True), (6, 2000, True)],
)
def test_while_a_run_goes_on_its_pods_go_once_a_minute_or_when_there_are_many(seconds, completed, swept):
    cluster = Cluster(range(10))
    process = Process(cluster, 2000, "0-9")
    process.sweep()
    if seconds:
        cluster.requests.clear()
        process.now += seconds
        process.store.jobs.put(
            "job-1",
            replace(process.store.jobs.of(KEY)["job-1"], completed=Indexes.between(0, completed - 1)),
        )
        process.sweep()
    assert bool(cluster.requests) is swept


def with_failures(cluster: Cluster, count: int) -> Process:
    process = Process(cluster, 500, "0-9", f"10-{9 + count}")
    for index in range(10, 10 + count):
        gone = FailedPod(f"uid-{index}", KEY, "job-1", index, ExitCode.FAILED, "no beans", index, 1, disrupted=False)
        if index in cluster.pods:
            process.store.failed.put(gone.uid, gone)
    process.look()
    return process


def test_of_failed_pods_the_latest_stay_and_how_the_others_failed_is_kept():
    cluster = Cluster(range(0), range(10, 10 + sweep.KEPT_FAILED + 30))
    process = with_failures(cluster, sweep.KEPT_FAILED + 30)
    process.sweep()
    assert list(cluster.pods) == list(range(40, 140))
    [kept] = cluster.kept.failed
    assert (kept.reason, str(kept.indexes)) == ("no beans", "10-39")
    again = Process(cluster, 500, "0-9", "10-139")
    assert {pod.reason for pod in again.tracked.memory.rendering.final.values()} == {"no beans"}
    assert sorted(again.tracked.memory.rendering.final) == list(range(10, 40))


def test_no_failed_pod_goes_if_what_it_told_cannot_be_kept(monkeypatch):
    monkeypatch.setattr(results, "MOST_TEXT", 10)
    cluster = Cluster(range(0), range(10, 240))
    with_failures(cluster, 230).sweep()
    assert len(cluster.pods) == 230


def test_a_server_that_refuses_is_asked_again_later():
    class Refusing(Cluster):
        async def delete_all(self, *_: Any, **__: Any) -> None:
            raise ApiError(403, "forbidden")

    process = Process(Refusing(range(10)))
    process.sweep()
    assert process.tracked.sweeping.swept is None

"""What is kept of the API server's objects."""

import asyncio
import json

import pytest

from clipfarm.cluster.api import owners, pod_views, views
from clipfarm.cluster.api.cache import Cache
from clipfarm.cluster.api.endings import failed_pod
from clipfarm.cluster.api.errors import WatchExpiredError
from clipfarm.cluster.api.nodes import node
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.store import UNREADABLE, Store, watchers
from clipfarm.cluster.api.times import unix_time
from clipfarm.manifests import job as manifest
from clipfarm.manifests.common import Images, Owner
from clipfarm.world import EarlyEnd, GpuId
from clipfarm_contract.exit_codes import ENDED_WITH_2, ExitCode
from clipfarm_contract.objects import Gpu
from helpers.runs import make_run

INDEX = "batch.kubernetes.io/job-completion-index"


def pod(*, gates=(), annotations=None, labels=None, owner="job-1", **status):
    return {
        "metadata": {
            "name": "pod",
            "namespace": "ns",
            "uid": "pod-1",
            "creationTimestamp": "2026-11-24T10:00:00Z",
            "labels": {"clipfarm.dev/run": "run"} | (labels or {}),
            "annotations": {INDEX: "7"} | (annotations or {}),
            "ownerReferences": [{"uid": "other"}, {"uid": owner, "controller": True}],
        },
        "spec": {"schedulingGates": [{"name": name} for name in gates], "nodeName": "node-1"},
        "status": status,
    }


def ended(code, message="", reason="Error", container="render"):
    state = {"exitCode": code, "message": message, "reason": reason, "finishedAt": "2026-11-24T10:00:30Z"}
    return [{"name": "sidecar", "state": {"running": {}}}, {"name": container, "state": {"terminated": state}}]


def test_a_pod_is_known_by_its_run_its_job_and_its_index():
    gpu = Gpu("node-1", 2, "GPU-c").dump()
    found = pod_views.pod(pod(annotations={"clipfarm.dev/gpu": gpu}))
    assert found == pod_views.PodView(
        "pod",
        "pod-1",
        ("ns", "run"),
        "job-1",
        7,
        None,
        "node-1",
        GpuId("node-1", 2, "GPU-c"),
        Reported("Bound"),
        requests=(("pods", 1),),
    )
    assert not found.gated


@pytest.mark.parametrize(
    ("written", "gpu"),
    [
        (Gpu("n", 0, "GPU-a", "7").dump(), GpuId("n", 0, "GPU-a", "7")),
        ('{"node": "n", "index": 0, "uuid": "GPU-a"}', GpuId("n", 0, "GPU-a")),
        ('{"node": "n", "index": 0, "uuid": "GPU-a/7"}', GpuId("n", 0, "GPU-a", "7")),  # as version 0.1.0 wrote it
        ('{"node": "n", "index": 0}', GpuId("n", 0)),
    ],
)
def test_an_annotation_tells_an_instance_of_a_gpu_also_one_of_an_earlier_version(written, gpu):
    assert pod_views.pod(pod(annotations={"clipfarm.dev/gpu": written})).gpu == gpu


@pytest.mark.parametrize(
    ("gates", "place"),
    [((), None), (("clipfarm.dev/admission",), 0), (("other", "clipfarm.dev/admission"), 1), (("other",), None)],
)
def test_only_clipfarms_gate_counts(gates, place):
    assert pod_views.pod(pod(gates=gates)).gate == place


@pytest.mark.parametrize(
    "broken",
    ["[]", "nonsense", '{"a": 1}', '{"node": ["n"], "index": 0}', '{"node": "n", "index": "0"}', "[" * 100_000,
     '{"node": "n", "index": 1e999}', '{"node": "n", "index": 0, "instance": 7}'],
)  # fmt: skip
def test_an_annotation_that_somebody_else_wrote_is_no_gpu(broken):
    assert pod_views.pod(pod(annotations={"clipfarm.dev/gpu": broken})).gpu is None


def test_a_pod_of_no_run_or_of_no_indexed_job_is_left_alone():
    stranger = pod()
    del stranger["metadata"]["annotations"][INDEX]
    assert pod_views.pod(stranger) is None
    assert failed_pod(stranger) is None
    assert pod_views.pod(pod(labels={"clipfarm.dev/run": ""})) is None


@pytest.mark.parametrize("index", ["abc", "-1", "", " 1", "1_0", "\u0661", "1.0", "9" * 5000])
def test_a_pod_whose_index_is_no_number_cannot_be_read(index):
    for read in (pod_views.pod, failed_pod):
        with pytest.raises(ValueError, match="expected a number"):
            read(pod(annotations={INDEX: index}))


@pytest.mark.parametrize("failures", ["abc", "-1", "9" * 5000, ""])
def test_a_pod_whose_failures_are_no_number_is_at_its_first_attempt_as_far_as_is_known(failures):
    again = {"batch.kubernetes.io/job-index-failure-count": failures}
    assert failed_pod(pod(annotations=again, containerStatuses=ended(2))).attempts == 1


@pytest.mark.parametrize("at", [None, "0000-01-01T00:00:00Z", "yesterday", "2026-11-24T10:00:30"])
def test_a_time_that_python_does_not_know_is_unknown(at):
    status = {"containerStatuses": [{"name": "render", "state": {"running": {"startedAt": at}}}]}
    found = pod_views.pod(pod(**status))
    assert (found.began, found.reported) == (None, Reported("Working"))
    ready = {"type": "Ready", "status": "Unknown", "lastTransitionTime": at}
    silent = node({"metadata": {"name": "n"}, "status": {"conditions": [ready]}})
    assert silent.silent_since == float("inf"), "it is silent, and nobody says since when"


def told(count, code):
    """What a supervisor reports of a block whose clips failed, all but the last one alike."""
    clips = [{"index": i, "exitCode": code, "reason": f"clip {i} has no room"} for i in range(count)]
    return json.dumps({"clips": [*clips, {"index": count, "exitCode": code, "reason": "another reason"}]})


BROKE_OFF = json.dumps(
    {
        "clips": [
            {"index": 0, "exitCode": 0},
            {"index": 1, "exitCode": 1, "reason": "black"},
            {"index": 2, "exitCode": 2, "reason": "GPU memory ran out: no room", "again": True},
        ]
    }
)
SAID = json.dumps({"clips": [{"index": 7, "exitCode": 1, "reason": "it never moved"}]})


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        ({"containerStatuses": ended(1, SAID)}, ExitCode.FAILED, "it never moved"),
        ({"containerStatuses": ended(2)}, ExitCode.OUT_OF_VRAM, ENDED_WITH_2),
        ({"containerStatuses": ended(2, '{"done":0,"failed":3}')}, ExitCode.OUT_OF_VRAM, ENDED_WITH_2),
        (
            {"containerStatuses": ended(2, "loading\npython: can't open file 'x.py'\n")},
            ExitCode.OUT_OF_VRAM,
            f"{ENDED_WITH_2}; last line: python: can't open file 'x.py'",
        ),
        ({"containerStatuses": ended(2, told(2, 2))}, ExitCode.OUT_OF_VRAM, "clip 0 has no room; another reason"),
        ({"containerStatuses": ended(76, BROKE_OFF)}, ExitCode.BROKE_OFF, "GPU memory ran out: no room"),
        ({"containerStatuses": ended(76, '{"done":90,"failed":3}')}, ExitCode.BROKE_OFF, "GPU memory ran out"),
        # Another program has no clip to go on with.
        ({"containerStatuses": ended(76)}, ExitCode.FAILED, "exit status 76"),
        ({"containerStatuses": ended(76, "x\nno bean\n")}, ExitCode.FAILED, "exit status 76; last line: no bean"),
        ({"containerStatuses": ended(76, SAID)}, ExitCode.FAILED, "it never moved"),
        ({"containerStatuses": ended(64, "a\nclipfarm-render: no such shape\n")}, ExitCode.USAGE, "no such shape"),
        (
            {"containerStatuses": ended(137, "a\nclip 3 begins\n")},
            ExitCode.FAILED,
            "exit status 137; last line: clip 3 begins",
        ),
        (
            {"containerStatuses": ended(128, "exec: tini: not found", "StartError")},
            ExitCode.FAILED,
            "exec: tini: not found",
        ),
        (
            {"containerStatuses": ended(143, "stopped by signal 15"), "message": "The node was low on memory."},
            ExitCode.FAILED,
            "The node was low on memory.",
        ),
        ({"containerStatuses": ended(139)}, ExitCode.FAILED, "exit status 139"),
        (
            {"containerStatuses": ended(137, SAID, "OOMKilled")},
            ExitCode.FAILED,
            "the kernel ended the pod: it took more memory than render.memory allows",
        ),
        ({"containerStatuses": ended(1, '{"clips": 3}')}, ExitCode.FAILED, "exit status 1"),
        ({"message": "The node was low on memory."}, ExitCode.FAILED, "The node was low on memory."),
        ({"reason": "NodeLost"}, ExitCode.FAILED, "NodeLost"),
        ({}, ExitCode.FAILED, "the pod failed"),
        ({"containerStatuses": ended(64, "x" * 5000)}, ExitCode.USAGE, "x" * 1000),
        (
            {"containerStatuses": [*ended(9, container="istio-proxy"), *ended(0)]},
            ExitCode.OK,
            "its container render ended with 0, but the container istio-proxy ended with 9",
        ),
    ],
)
def test_why_a_pod_failed(status, code, reason):
    found = failed_pod(pod(**status))
    assert (found.exit_code, found.reason) == (code, reason)


def test_an_attempt_is_counted_by_the_job_and_timed_by_the_kubelet():
    found = failed_pod(pod(annotations={owners.INDEX_ANNOTATION: "7"}, containerStatuses=ended(2)))
    assert (found.attempts, found.ended) == (1, unix_time("2026-11-24T10:00:30Z"))
    again = {"batch.kubernetes.io/job-index-failure-count": "1"}
    assert failed_pod(pod(annotations=again, containerStatuses=ended(2))).attempts == 2


def test_of_a_block_that_broke_off_the_clip_that_goes_on_has_not_failed():
    ignored = {"batch.kubernetes.io/job-index-ignored-failure-count": "3"}
    found = failed_pod(pod(annotations=ignored, containerStatuses=ended(76, BROKE_OFF)))
    assert (found.clips, found.done) == (((1, "black"),), 1)
    assert (found.attempts, found.ignored, found.disrupted) == (1, 3, False)


@pytest.mark.parametrize(
    ("status", "disrupted"),
    [
        ({"containerStatuses": ended(137), "conditions": [{"type": "DisruptionTarget", "status": "True"}]}, True),
        ({"containerStatuses": ended(143)}, True),  # deleted while it ran
        ({"containerStatuses": ended(137)}, False),  # killed for memory
        ({"containerStatuses": ended(1), "conditions": [{"type": "DisruptionTarget", "status": "False"}]}, False),
        ({"reason": "OutOfcpu", "message": "no room"}, True),  # it never began
        ({"containerStatuses": ended(1, container="sidecar")}, True),  # the renderer itself said nothing
        ({"containerStatuses": [*ended(0), *ended(1, container="istio-proxy")]}, True),  # another container failed
    ],
)
def test_what_is_not_the_clips_fault(status, disrupted):
    assert failed_pod(pod(**status)).disrupted is disrupted


@pytest.mark.parametrize(
    ("message", "done", "clips"),
    [
        ({"clips": [{"index": 3, "exitCode": 0}, {"index": 4, "exitCode": 1, "reason": "black"}]}, 1, ((4, "black"),)),
        ({"clips": [{"index": 3, "exitCode": 1}]}, 0, ((3, ""),)),
        ({"done": 7, "failed": 2}, 7, ()),
        ({"done": "many"}, 0, ()),
    ],
)
def test_a_pod_that_made_a_block_tells_of_each_clip_as_far_as_there_is_room(message, done, clips):
    found = failed_pod(pod(containerStatuses=ended(1, json.dumps(message))))
    assert (found.done, found.clips) == (done, clips)


OF_RUN = [{"kind": "BenchmarkRun", "uid": "run-1", "controller": True}]


def test_a_job_tells_which_indexes_are_done_in_ranges():
    job = {
        "metadata": pod()["metadata"] | {"deletionTimestamp": "x", "ownerReferences": OF_RUN},
        "spec": {"parallelism": 3, "suspend": True},
        "status": {"completedIndexes": "0-4,7", "failedIndexes": "5"},
    }
    found = views.job(job)
    assert (len(found.completed), list(found.failed)) == (6, [5])
    assert (found.parallelism, found.suspended, found.deleting, found.owner) == (3, True, True, "run-1")


@pytest.mark.parametrize(
    ("references", "owner"),
    [
        ((), ""),  # orphaned
        ([{"kind": "BenchmarkRun", "uid": "run-1"}], ""),  # mentioned, and not controlled by it
        ([{"kind": "CronJob", "uid": "cron-1", "controller": True}], ""),
        ([{"kind": "Node", "uid": "node-1"}, {"kind": "BenchmarkRun", "uid": "run-1", "controller": True}], "run-1"),
    ],
)
def test_a_job_and_encoders_are_a_runs_if_a_run_controls_them(references, owner):
    made = {"metadata": pod()["metadata"] | {"ownerReferences": references}, "spec": {}}
    assert (views.job(made).owner, views.deployment(made).owner) == (owner, owner)


def test_two_views_of_a_run_are_alike_when_only_its_status_differs():
    document = {"metadata": {"namespace": "ns", "name": "run", "uid": "u", "generation": 1}, "spec": {}}
    assert views.run(document) == views.run(document | {"status": {"rendered": 3}})
    document["metadata"]["generation"] = 2
    assert views.run(document).generation == 2


@pytest.mark.parametrize(("cpu", "cpus"), [("8", 8), ("7910m", 7), ("3.5", 3), ("10k", 10_000), (None, 0)])
def test_cpus_of_a_node_are_whole(cpu, cpus):
    allocatable = {"cpu": cpu} if cpu else {}
    assert node({"metadata": {"name": "n"}, "status": {"allocatable": allocatable}}).cpus == cpus


def test_an_encoders_pod_tells_how_it_ended_the_last_time():
    terminated = {"exitCode": 2, "message": "loading\n--weights: no such file\n"}
    status = {
        "phase": "Running",
        "podIP": "10.0.0.7",
        "containerStatuses": [{"name": "encode", "restartCount": 3, "lastState": {"terminated": terminated}}],
    }
    found = pod_views.encoder_pod(pod(labels={"clipfarm.dev/run-uid": "u"}, owner="set-1", **status))
    assert (found.address, found.restarts, found.owner) == ("10.0.0.7", 3, "set-1"), "no label says whose it is"
    assert found.last_end == EarlyEnd(2, "--weights: no such file")
    assert pod_views.encoder_pod(pod(phase="Pending", podIP="10.0.0.7")).address == ""


class TestCache:
    """What watches fill."""

    def test_it_tells_whether_a_view_says_anything_new(self):
        cache = Cache(lambda view: view.run)
        first, second = pod_views.pod(pod()), pod_views.pod(pod(gates=["clipfarm.dev/admission"]))
        assert cache.put("pod-1", first)
        assert not cache.put("pod-1", pod_views.pod(pod()))
        assert cache.put("pod-1", second)
        assert dict(cache.of(("ns", "run"))) == {"pod-1": second}

    def test_nothing_is_left_of_a_run_whose_objects_are_gone(self):
        cache = Cache(lambda view: view.run)
        cache.put("pod-1", pod_views.pod(pod()))
        assert cache.drop("pod-1").name == "pod"
        assert cache.drop("pod-1") is None
        assert not cache.of(("ns", "run"))
        assert not cache._by_run


class OneList:
    """An API server that answers each list with the next of some, and whose watches bring what they are told."""

    def __init__(self, *lists, events=()):
        self.lists, self.events = list(lists), list(events)

    async def pages(self, _path, **_parameters):
        if not self.lists:
            raise StopTestError
        yield self.lists.pop(0), "1"

    async def watch(self, _path, _version, **_parameters):
        for event in self.events:
            yield event
        self.events = []
        raise WatchExpiredError


class StopTestError(Exception):
    """Nothing more is told."""


def test_a_watch_that_was_broken_lists_again_and_forgets_what_is_gone():
    marked = []
    store = Store()
    watcher = next(each for each in watchers(store, (), marked.append) if each.cache is store.pods)
    second = pod()
    second["metadata"] |= {"uid": "pod-2", "name": "second", "resourceVersion": "5"}
    api = OneList([pod()], [second], events=[("BOOKMARK", {"metadata": {"resourceVersion": "9"}})])
    with pytest.raises(StopTestError):
        asyncio.run(watcher.run(api))
    assert list(store.pods.of(("ns", "run"))) == ["pod-2"]
    assert watcher.synced.is_set()
    assert ("ns", "run") in marked
    assert None in marked, "after a list everything may have changed"


def test_an_object_that_cannot_be_read_is_left_out_counted_and_logged_once(caplog):
    store = Store()
    watcher = next(each for each in watchers(store, (), lambda _: None) if each.cache is store.pods)
    broken, other = pod(annotations={INDEX: "abc"}), pod()
    other["metadata"] |= {"uid": "pod-2", "name": "other"}
    before = UNREADABLE.labels("pods")._value.get()
    for _ in range(3):
        for each in (broken, other):
            watcher._take(each)
    assert list(store.pods.of(("ns", "run"))) == ["pod-2"]
    assert UNREADABLE.labels("pods")._value.get() == before + 1
    [line] = [each.getMessage() for each in caplog.records]
    assert line == (
        "pods ns/pod (UID pod-1) cannot be read and is left out: ValueError: annotation"
        ' batch.kubernetes.io/job-completion-index: found "abc", expected a number'
    )
    watcher._take(pod())
    assert set(store.pods.of(("ns", "run"))) == {"pod-1", "pod-2"}, "as soon as it can be read it counts"


def test_a_change_that_says_nothing_new_wakes_nobody():
    marked = []
    store = Store()
    watcher = next(each for each in watchers(store, (), marked.append) if each.cache is store.pods)
    again = pod(phase="Running")
    again["metadata"]["resourceVersion"] = "2"
    with pytest.raises(StopTestError):
        asyncio.run(watcher.run(OneList([pod()], events=[("MODIFIED", again)])))
    assert marked.count(("ns", "run")) == 1


@pytest.mark.parametrize(
    ("annotations", "arguments", "clips"),
    [
        ({"clipfarm.dev/clips-per-pod": "9"}, ["--count", "9"], 9),
        # An operator that recorded nothing: what its pods are asked for.
        ({}, ["--block", "$(JOB_COMPLETION_INDEX)", "--count", "4", "--", "./own", "--count", "7"], 4),
        ({"clipfarm.dev/clips-per-pod": "many"}, ["--count", "4"], 4),
        ({"clipfarm.dev/clips-per-pod": "0"}, [], None),
        ({}, ["--count"], None),
        ({}, ["--count", "-1"], None),
        ({}, [], None),
    ],
)
def test_a_job_says_how_many_clips_each_of_its_pods_makes(annotations, arguments, clips):
    containers = [{"name": "sidecar", "args": ["--count", "2"]}, {"name": "render", "args": arguments}]
    job = {
        "metadata": pod(annotations=annotations)["metadata"],
        "spec": {"template": {"spec": {"containers": containers}}},
    }
    assert views.clips_per_pod(job) == clips
    found = views.job(job)
    assert found is not None
    assert found.clips_per_pod == clips


def test_the_job_that_a_run_gets_says_it():
    made = manifest.job(make_run(10, render={"clipsPerPod": 3}), Owner("ns", "run-1", {}), Images(), 1)
    assert views.clips_per_pod(made) == 3
    del made["metadata"]["annotations"]
    assert views.clips_per_pod(made) == 3, "as of Jobs of earlier versions"

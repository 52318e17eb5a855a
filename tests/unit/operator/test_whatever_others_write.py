"""Tenants, kubelets and other controllers write the objects that the operator reads: none of them may stop it.

Objects here are such as the API server accepts: a number is a number and a time is a time, but texts are anything.
"""

import asyncio
import json
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipfarm.cluster.acting.sweep import _counted
from clipfarm.cluster.api.endings import clips_vram, gpu_reading
from clipfarm.cluster.api.owners import INDEX_ANNOTATION
from clipfarm.cluster.api.store import Store, Watcher, watchers
from clipfarm.cluster.process import encoders, pod_events
from clipfarm.cluster.process.operator import Operator
from clipfarm.cluster.process.tick import FAULTS
from clipfarm.cluster.reporting.summary import lines
from clipfarm.cluster.reporting.vram import gpu_rows
from clipfarm.cluster.vram.exporters import Finding, exporter_pod
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.cluster.vram.scrape import Page, ScrapeError
from clipfarm.cluster.vram.source import Source
from clipfarm.manifests.common import Images
from clipfarm.vram import dcgm, prometheus
from clipfarm.vram.dcgm import Answer, FormatError
from clipfarm.world import GpuId, Reading
from clipfarm_contract.fields import ContractError
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import (
    ATTEMPT_ANNOTATION,
    ENCODE_ATTEMPT_ANNOTATION,
    GATE,
    GPU_ANNOTATION,
    NEW_NODE_ANNOTATION,
    NODE_ANNOTATION,
    ONLY_ANNOTATION,
    RELEASED_ANNOTATION,
    RESULTS_ANNOTATION,
)
from helpers.runs import document

SETTINGS = settings(
    max_examples=150 if os.environ.get("CI") else 60,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=list(HealthCheck),
)
NOW, WALL = 1000.0, 1_800_000_000.0
KEY, CLIPS = ("ns", "test"), 4
GPU = GpuId("node-1", 0, "GPU-0")

ODD = ("", "abc", "-1", "0", "1", "3", "999999999", "9" * 5000, "\u0661", " 1 ", "1_0", "1e999", "NaN", "[" * 3000,
       "{", "null", "\x00", "\x1b[2J", "0-999999999999", "3-1", "2,2", "x" * 2000)  # fmt: skip
TEXT = st.sampled_from(ODD) | st.text(max_size=12)
NUMBER = st.integers(0, 5) | st.integers(-(2**31), 2**31 - 1)
TIMES = ("2027-01-15T08:00:00Z", "2027-01-15T07:59:30Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59Z", "2027-01-15T08:00:00.123456Z")  # fmt: skip
TIME = st.none() | st.sampled_from(TIMES)
"""A time that was never set is null: that is what Kubernetes' own types write."""
LEAF = st.none() | st.booleans() | st.integers() | st.integers(-4, 4) | st.just(10**400) | st.floats() | TEXT
JSON = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


def some(required: dict[str, Any] | None = None, **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """An object with all fields of the first, and some of the others."""
    return st.fixed_dictionaries(required or {}, optional=optional)


def odd(**fields: Any) -> st.SearchStrategy[Any]:
    """Some JSON: an object with these fields, most of them as they should be; with some of them; or anything."""
    found = {name: field | field | field | JSON for name, field in fields.items()}
    return st.fixed_dictionaries(found) | st.fixed_dictionaries(found) | some(**found) | JSON


GPU_MESSAGE = some(
    uuid=st.just("GPU-0") | JSON, usedMiB=st.just(10.0) | JSON, totalMiB=st.just(100.0) | JSON, at=st.just(WALL) | JSON
)
VRAM_MESSAGE = odd(peakMiB=NUMBER, averageMiB=NUMBER, deviationMiB=NUMBER, allocatedAfter=NUMBER, by=TEXT)
CLIP_MESSAGE = odd(index=NUMBER, exitCode=NUMBER, reason=TEXT, vram=VRAM_MESSAGE, skipped=JSON)
MESSAGE = TEXT | odd(clips=st.lists(CLIP_MESSAGE, max_size=3), done=NUMBER, gpu=GPU_MESSAGE).map(json.dumps)
GPU_TEXT = TEXT | odd(node=st.just("node-1"), index=NUMBER, uuid=st.just("GPU-0"), instance=TEXT).map(json.dumps)

UID = st.sampled_from(["run-1", "job-1", "deployment-1", "set-1", "another"])
OWNERS = st.lists(some({"uid": UID, "kind": TEXT, "name": TEXT}, controller=st.booleans()), max_size=2)


def metadata(
    uid: str, owners: st.SearchStrategy[Any], annotations: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    labels = st.dictionaries(TEXT, TEXT, max_size=2).map(lambda more: more | {"clipfarm.dev/run": KEY[1]})
    known = {
        "name": st.just(f"name-of-{uid}"), "namespace": st.just(KEY[0]), "uid": st.just(uid), "labels": labels,
        "creationTimestamp": st.just(TIMES[0]), "resourceVersion": st.just("1"), "ownerReferences": owners,
        "annotations": annotations,
    }  # fmt: skip
    deletion = {"deletionTimestamp": st.sampled_from(TIMES), "deletionGracePeriodSeconds": NUMBER}
    return st.fixed_dictionaries(known) | st.fixed_dictionaries(known) | st.fixed_dictionaries(known | deletion)


TERMINATED = some({"exitCode": NUMBER}, reason=TEXT, message=MESSAGE, startedAt=TIME, finishedAt=TIME)
STATE = some(running=some(startedAt=TIME), terminated=TERMINATED, waiting=some(reason=TEXT, message=TEXT))
CONTAINERS = st.lists(
    some(
        {"name": st.sampled_from(["render", "encode", "istio-proxy"]), "ready": st.booleans(), "restartCount": NUMBER},
        state=STATE, lastState=STATE, started=st.booleans(),
    ),
    max_size=3,
)  # fmt: skip
DONE = odd(clips=st.lists(CLIP_MESSAGE, max_size=3), done=NUMBER).map(json.dumps)
FAILED = some({"exitCode": st.sampled_from([1, 2, 64]), "message": DONE, "finishedAt": TIME}).map(
    lambda end: [{"name": "render", "ready": False, "restartCount": 0, "state": {"terminated": end}}]
)
CONDITION = some(
    {
        "type": st.sampled_from(["Ready", "PodScheduled", "DisruptionTarget", "Complete", "ReplicaFailure"]) | TEXT,
        "status": st.sampled_from(["True", "False", "Unknown"]),
    },
    reason=st.just("Unschedulable") | TEXT, message=TEXT, lastTransitionTime=TIME,
)  # fmt: skip
POD_STATUS = some(
    {"containerStatuses": CONTAINERS | FAILED | FAILED},
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    reason=TEXT, message=TEXT, podIP=st.sampled_from(["10.0.0.1", "fd00::1"]), startTime=TIME,
    conditions=st.lists(CONDITION, max_size=3), initContainerStatuses=CONTAINERS,
)  # fmt: skip
POD_SPEC = some(
    {"containers": st.just([{"name": "render", "ports": [{"containerPort": 1}, {"name": "metrics", "containerPort": 2}]}
                            ])},
    nodeName=st.sampled_from(["node-1", "gone"]),
    schedulingGates=st.lists(some({"name": st.just(GATE) | TEXT}), max_size=2),
)  # fmt: skip


def pod(uid: str) -> st.SearchStrategy[dict[str, Any]]:
    index = {INDEX_ANNOTATION: st.sampled_from(["0", "1", "2", "3"]) | TEXT}
    annotations = {
        "batch.kubernetes.io/job-index-failure-count": st.just("1") | TEXT,
        GPU_ANNOTATION: GPU_TEXT, NODE_ANNOTATION: TEXT, NEW_NODE_ANNOTATION: TEXT,
        RELEASED_ANNOTATION: st.sampled_from(TIMES) | TEXT,
    }  # fmt: skip
    owners = st.sampled_from([[{"uid": each, "controller": True}] for each in ("job-1", "job-1", "set-1")]) | OWNERS
    written = some(index, **annotations) | some(**annotations)
    return st.fixed_dictionaries(
        {"metadata": metadata(uid, owners, written), "spec": POD_SPEC, "status": st.just({}) | POD_STATUS | POD_STATUS}
    )


KEPT = odd(exitCode=NUMBER, reason=TEXT, indexes=TEXT, clips=TEXT, done=st.dictionaries(TEXT, NUMBER, max_size=2))
RESULTS = TEXT | odd(deleting=TEXT, memory=JSON, failed=st.lists(KEPT, max_size=2)).map(json.dumps)


def owned(uid: str, by: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    own = st.just([{"kind": "BenchmarkRun" if by == "run-1" else "Deployment", "uid": by, "controller": True}])
    attempt = st.sampled_from(["", "", "", "1"]) | TEXT
    written = some(**{ATTEMPT_ANNOTATION: attempt, "clipfarm.dev/template": TEXT, RESULTS_ANNOTATION: RESULTS})
    return st.fixed_dictionaries({"metadata": metadata(uid, own | own | OWNERS, written)} | fields)


GOOD_JOB = {
    "metadata": {"name": "test-render", "namespace": "ns", "uid": "job-1", "labels": {"clipfarm.dev/run": "test"},
                 "ownerReferences": [{"kind": "BenchmarkRun", "uid": "run-1", "controller": True}]},
    "spec": {"parallelism": 2}, "status": {"completedIndexes": "0"},
}  # fmt: skip
JOB = st.just(GOOD_JOB) | owned(
    "job-1", "run-1", spec=some(parallelism=NUMBER, suspend=st.booleans()),
    status=some(completedIndexes=st.just("0,2") | TEXT, failedIndexes=st.just("3") | TEXT,
                conditions=st.lists(CONDITION, max_size=2)),
)  # fmt: skip
DEPLOYMENT = owned(
    "deployment-1", "run-1", spec=some(replicas=NUMBER), status=some(conditions=st.lists(CONDITION, max_size=2))
)
QUANTITY = st.sampled_from(
    ["0", "8", "10k", "7910m", "1e3", "12E6", "5Ei", "9223372036854775807", "-1", ".5", "1n", "3."]
)
LABELS = st.dictionaries(TEXT, TEXT, max_size=2)
TAINT = some({"key": TEXT, "effect": TEXT}, value=TEXT)
NODE = some(
    {"metadata": some({"name": st.just("node-1"), "uid": st.just("node-uid")}, labels=LABELS)},
    spec=some(unschedulable=st.booleans(), taints=st.lists(TAINT, max_size=2)),
    status=some(allocatable=st.dictionaries(st.sampled_from(["cpu", "nvidia.com/gpu", "a/b"]), QUANTITY),
                conditions=st.lists(CONDITION, max_size=3)),
)  # fmt: skip
COUNT = st.integers(0, 5) | st.integers(0, 2**53)
FAILED_CLIPS = some({"clips": TEXT, "stage": st.sampled_from(["render", "encode"]), "reason": TEXT})
GPU_MEMORY = some(
    {"node": TEXT, "gpu": TEXT, "used": TEXT, "reading": TEXT, "gate": st.sampled_from(["Open", "Closed"])},
    uuid=TEXT, measuredAt=TEXT, heldBy=TEXT,
)  # fmt: skip
OWN_CONDITION = some(
    {"type": st.sampled_from(["Ready", "Stalled", "VRAMHeld"]), "status": st.just("False"), "reason": TEXT,
     "message": TEXT, "lastTransitionTime": TEXT, "observedGeneration": st.integers(0, 3)}
)  # fmt: skip
STATUS = some(
    {
        "phase": st.sampled_from(["Pending", "Running", "Failed", "Succeeded", "CompletedWithFailures"]),
        "observedGeneration": st.integers(-1, 3), "total": COUNT, "rendered": COUNT, "encoded": COUNT, "failed": COUNT,
        "running": COUNT, "retried": COUNT,
    },
    workers=st.integers(1, 9),
    completionTime=st.sampled_from(TIMES) | TEXT, renderAttempt=TEXT, encodeAttempt=TEXT, observedAt=TEXT,
    failures=st.lists(FAILED_CLIPS, max_size=3), gpus=st.lists(GPU_MEMORY, max_size=2),
    conditions=st.lists(OWN_CONDITION, max_size=2),
)  # fmt: skip
SPECS = st.sampled_from(
    [
        {"storage": {"claimName": "clips"}, "encode": {"weights": {"source": "random"}}, "ttlAfterFinished": "1h"},
        {"storage": {"claimName": "clips"}, "render": {"device": "cuda", "clipsPerPod": 2}},
    ]
)
RUN_ANNOTATIONS = st.just({}) | some(
    **{ONLY_ANNOTATION: st.just("0-2") | TEXT, ATTEMPT_ANNOTATION: TEXT, ENCODE_ATTEMPT_ANNOTATION: TEXT}
)


class Nothing:
    """Takes the place of what writes to the API server."""

    def free(self, *_: Any) -> bool:
        return True

    def apply(self, tracked: Any, changes: Any, status: Any, *, expired: bool) -> None:
        json.dumps([status, [change.body for change in changes]])  # it could be sent
        if status is not None:
            tracked.status = status

    def report(self, *_: Any) -> None:
        pass

    release = forget = report

    def answered(self) -> list[float]:
        return []


def operator() -> Operator:
    """An operator that writes nothing."""
    made = Operator(None, Images(), clock=lambda: NOW, wall=lambda: WALL)  # type: ignore[arg-type]
    made._ticker.applier = made._ticker.gatekeeper = made._ticker.roster.refusals = Nothing()  # type: ignore[assignment]
    source = Source("a", "a", answered_at=NOW)
    made.gpus._add(source, Answer((Reading(GPU, 10.0, 100.0, NOW),)))
    return made


def watching(store: Store) -> dict[int, Watcher[Any]]:
    """The watches of a store, by what they fill."""
    return {id(each.cache): each for each in watchers(store, (), lambda _: None)}


@SETTINGS
@given(
    st.lists(st.integers(0, 5).flatmap(lambda number: pod(f"pod-{number}")), max_size=5),
    JOB, DEPLOYMENT, owned("set-1", "deployment-1"), NODE, SPECS, RUN_ANNOTATIONS, STATUS,
)  # fmt: skip
def test_whatever_stands_in_objects_a_look_at_a_run_ends_well(pods, job, deployment, sets, node, spec, asked, status):
    made = operator()
    store, faults = made.store, FAULTS._value.get()
    watches = watching(store)
    run = document(CLIPS, **spec)
    run["metadata"] |= {"namespace": "ns", "uid": "run-1", "generation": 1, "annotations": asked}
    run["metadata"]["creationTimestamp"] = TIMES[0]
    watches[id(store.runs)]._take(run | {"status": status})
    for cache, objects in (
        (store.nodes, [node]), (store.jobs, [job]), (store.reports, [job]), (store.deployments, [deployment]),
        (store.replica_sets, [sets]), (store.pods, pods), (store.failed, pods), (store.encoders, pods),
    ):  # fmt: skip
        for each in objects:
            watches[id(cache)]._take(each)
    for _ in range(2):  # the second look has what the first remembers
        made.mark(None)
        asyncio.run(made._tick())
        assert FAULTS._value.get() == faults
        assert asked or KEY in made.runs, "it is not refused for its status"
    assert list(lines(run | {"status": status}, WALL))
    gpu_rows([run | {"status": status}], WALL)
    for view in store.jobs.of(KEY).values():
        assert all((_counted(each, view) or 0) < 10**9 for each in pods)


@SETTINGS
@given(pod("pod-1"))
def test_whatever_a_pod_says_of_memory_is_a_number_or_nothing(made):
    clips_vram(made)
    told = gpu_reading(made)
    exporter_pod(made, Finding("DCGM exporter", "app=x"))
    if told is not None:
        gpus = operator().gpus
        gpus.add_measured("ns", "node-1", told[0], NOW - told[1], NOW)
        assert 0 <= gpus.for_namespace("ns")[GPU].used_fraction <= 1


@SETTINGS
@given(st.lists(some(reason=st.just("FailedMount") | TEXT, message=TEXT, lastTimestamp=TIME, eventTime=TIME,
                     series=st.none() | some(lastObservedTime=TIME)), max_size=4))  # fmt: skip
def test_whatever_events_say_there_is_a_word_or_none(events):
    pod_events.newest(events)


COUNTS = odd(found=NUMBER, encoded=NUMBER, skipped=NUMBER, waiting=NUMBER, encoding=NUMBER)
FAILURE = odd(clip=st.sampled_from(["clip_00001", "clip_00099"]) | TEXT, reason=TEXT)
PROGRESS = odd(
    clips=COUNTS, failures=st.lists(FAILURE, max_size=3), absent=TEXT, state=TEXT, foreign=NUMBER, weights=JSON,
    seconds=st.dictionaries(TEXT, NUMBER, max_size=2), clips_per_second=NUMBER, devices=st.lists(JSON, max_size=2),
)  # fmt: skip


@SETTINGS
@given(PROGRESS.map(json.dumps) | TEXT)
def test_whatever_an_encoder_answers_is_progress_or_none(text):
    try:
        found = encoders.progress(Page(text, None).json(), Indexes.between(0, CLIPS - 1))
    except (ScrapeError, ContractError):
        return
    assert 0 <= found.done <= CLIPS
    assert 0 <= found.left <= CLIPS
    assert {*found.failed, *found.absent} <= set(range(CLIPS))


LABEL = st.sampled_from(['gpu="0"', 'UUID="GPU-0"', 'Hostname="node-1"', 'GPU_I_ID="7"', 'holder="a"', "x", 'y="\\"'])
LINE = st.tuples(
    st.sampled_from([*dcgm.NAMES, "DCGM_FI_DEV_FB_USEDx"]), st.lists(LABEL, max_size=4), st.floats() | TEXT, TEXT
).map(lambda line: f"{line[0]}{{{','.join(line[1])}}} {line[2]} {line[3]}")


@SETTINGS
@given(st.lists(LINE | TEXT, max_size=5))
def test_whatever_an_exporter_answers_is_readings_or_none(found):
    try:
        answer = dcgm.parse("\n".join(found) + "\n", NOW, wall=WALL)
    except FormatError:
        return
    check(answer)


METRIC = odd(__name__=st.sampled_from(dcgm.NAMES), gpu=st.just("0"), UUID=st.just("GPU-0"), node=st.just("n"))
SAMPLE = st.tuples(st.just(WALL) | LEAF, st.just("5") | LEAF) | JSON
SERIES = odd(metric=METRIC, values=st.lists(SAMPLE, max_size=2))
DATA = odd(resultType=st.just("matrix"), result=st.lists(SERIES, max_size=4))


@SETTINGS
@given(odd(status=st.just("success"), data=DATA).map(json.dumps) | TEXT)
def test_whatever_a_prometheus_answers_is_readings_or_none(text):
    try:
        answer = prometheus.parse(text, NOW, prometheus.node_finder({"n"}, {}), wall=WALL)
    except FormatError:
        return
    check(answer)


def check(answer: Answer) -> None:
    gpus = Gpus()
    gpus._add(Source("a", "a"), answer)
    for reading in gpus.readings.values():
        assert 0 <= reading.used_fraction <= 1
        assert reading.at <= NOW

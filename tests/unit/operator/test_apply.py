"""What is done about answers of the API server, lost ones too."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from clipfarm.cluster.acting import release as release_module
from clipfarm.cluster.acting.apply import Applier
from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.acting.release import Gatekeeper, narrowed, release_patch
from clipfarm.cluster.api.errors import ApiError
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.series import Series
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.events import Notice, event
from clipfarm.decide.admission import Elsewhere
from clipfarm.manifests.common import Owner
from clipfarm.world import GpuId
from clipfarm_contract.objects import GATE
from helpers.runs import make_run

KEY = ("ns", "test")
POD = PodView("pod", "pod-1", KEY, "job-1", 0, 1, "", None)
LOST = aiohttp.ServerDisconnectedError()


class Server:
    """Answers requests one after the other as it is told: an exception is raised, anything else is the answer."""

    def __init__(self, *answers: Any, pod: Any = None) -> None:
        self.answers = list(answers)
        self.pod = pod
        self.requests: list[tuple[str, str, Any]] = []

    async def _answer(self, verb: str, path: str, body: Any) -> Any:
        self.requests.append((verb, path, body))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def patch(self, path: str, body: Any, kind: str) -> Any:
        return await self._answer(kind, path, body)

    async def create(self, path: str, body: Any) -> Any:
        return await self._answer("create", path, body)

    async def delete(self, path: str, uid: str) -> Any:
        return await self._answer("delete", path, uid)

    async def delete_all(self, path: str, **selectors: str) -> Any:
        return await self._answer("delete all", path, selectors)

    async def get(self, path: str) -> Any:
        self.requests.append(("get", path, None))
        return self.pod


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(release_module, "pause", lambda *_: 0.0)


@pytest.fixture
def tracked() -> Tracked:
    return Tracked(Asked(make_run(), Owner("ns", "run-1", {}), 1), {})


def release(server: Server, tracked: Tracked, pod: PodView = POD) -> None:
    async def work() -> None:
        gatekeeper = Gatekeeper(server, lambda: 0.0, lambda: 0.0)
        gatekeeper.release(tracked, pod, "")
        assert tracked.releases.released == {pod.uid: ""}, "from the decision on"
        async with asyncio.timeout(5):
            while gatekeeper._tasks:
                await asyncio.sleep(0)

    asyncio.run(work())


def live_pod(*gates: str, uid: str = "pod-1", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid}, "spec": {"schedulingGates": [{"name": gate} for gate in gates], **spec}}


NOT_AS_EXPECTED = ApiError(422, "the test failed")


@pytest.mark.parametrize(
    ("answers", "pod", "outcome", "requests"),
    [
        ([{}], None, "released", 1),
        # Whether a request was carried out whose answer was lost, only another one can tell.
        ([LOST, {}], None, "released", 2),
        ([TimeoutError(), ApiError(503, "away"), ApiError(429, "busy"), {}], None, "released", 4),
        ([LOST, NOT_AS_EXPECTED], live_pod("other"), "released", 3),
        ([NOT_AS_EXPECTED], live_pod("other", GATE), "refused", 2),
        # Another controller has removed its own gate, or added an affinity, since the watch brought the pod.
        ([NOT_AS_EXPECTED, {}], live_pod(GATE), "released", 3),
        ([NOT_AS_EXPECTED, {}], live_pod("other", GATE, affinity={"nodeAffinity": {}}), "released", 3),
        ([NOT_AS_EXPECTED, NOT_AS_EXPECTED], live_pod(GATE), "refused", 4),
        ([NOT_AS_EXPECTED], live_pod(GATE, uid="another"), "gone", 2),
        ([NOT_AS_EXPECTED], None, "gone", 2),
        ([ApiError(404, "gone")], None, "gone", 1),
        ([ApiError(403, "forbidden")], None, "refused", 1),
    ],
)
def test_a_pod_counts_as_let_go_until_the_server_has_said_that_it_is_not(tracked, answers, pod, outcome, requests):
    server = Server(*answers, pod=pod)
    release(server, tracked)
    assert (tracked.releases.released == {"pod-1": ""}) is (outcome == "released")
    assert len(server.requests) == requests
    assert bool(tracked.error) is (outcome == "refused")


def test_a_refusal_to_release_a_pod_is_said_until_the_pod_is_released(tracked):
    release(Server(ApiError(403, "forbidden")), tracked)
    assert tracked.error == "the pod pod cannot be released: forbidden"
    release(Server({}), tracked)
    assert tracked.error == ""


def test_a_refusal_to_release_a_pod_says_what_to_do(tracked):
    release(Server(ApiError(403, "ValidatingAdmissionPolicy 'x' denied request: no")), tracked)
    assert tracked.error.endswith(
        "denied request: no; ask the owner of that policy, or create a run that complies with it"
    )


def test_each_refusal_of_a_pod_makes_its_next_attempt_later_and_only_the_first_of_a_run_is_logged(
    tracked, monkeypatch, caplog
):
    monkeypatch.setattr(release_module, "pause", lambda failures, _: 2.0**failures)
    aside = []
    for pod in (POD, POD, replace(POD, name="other", uid="pod-2"), POD):
        release(Server(ApiError(403, "forbidden")), tracked, pod)
        aside.append({uid: refusal.until for uid, refusal in tracked.releases.refused.items()})
    assert aside == [{"pod-1": 2.0}, {"pod-1": 4.0}, {"pod-1": 4.0, "pod-2": 2.0}, {"pod-1": 8.0, "pod-2": 2.0}]
    assert [record.getMessage() for record in caplog.records] == ["ns/test: the pod pod cannot be released: forbidden"]


def test_nothing_is_tried_for_a_run_that_is_gone(tracked):
    tracked.gone = True
    server = Server(LOST, LOST, LOST)
    release(server, tracked)
    assert server.requests == []


def test_only_clipfarms_gate_is_taken_off_and_only_of_this_very_pod():
    assert release_patch(POD, "", 60.0) == [
        {"op": "test", "path": "/metadata/uid", "value": "pod-1"},
        {"op": "test", "path": "/spec/schedulingGates/1/name", "value": GATE},
        {"op": "remove", "path": "/spec/schedulingGates/1"},
        {"op": "add", "path": "/metadata/annotations/clipfarm.dev~1released-at", "value": "1970-01-01T00:01:00Z"},
    ]


def test_a_pod_that_is_let_onto_a_gpu_is_bound_to_its_node_in_the_same_request():
    patch = release_patch(POD, GpuId("node-1", 2, "GPU-c"), 0.0)
    told = {entry["path"].rpartition("~1")[2]: entry["value"] for entry in patch if "annotations" in entry["path"]}
    assert told.keys() == {"released-at", "node", "gpu", "gpu-uuid"}
    assert (told["node"], told["gpu-uuid"]) == ("node-1", "GPU-c")
    affinity = patch[-1]
    terms = affinity["value"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}]


def test_where_a_node_gives_out_its_gpus_itself_a_pod_is_bound_to_the_node_alone():
    patch = release_patch(POD, "node-1", 0.0)
    assert [entry["path"] for entry in patch[4:]] == ["/metadata/annotations/clipfarm.dev~1node", "/spec/affinity"]


HOST_A, HOST_B = (("kubernetes.io/hostname", name) for name in ("host-a", "host-b"))


def test_a_pod_that_waits_for_a_new_node_keeps_away_from_those_that_are_there():
    patch = release_patch(POD, Elsewhere((HOST_A, HOST_B, ("clipfarm.dev/node-id", "7"))), 0.0)
    assert patch[4:] == [
        {"op": "add", "path": "/metadata/annotations/clipfarm.dev~1new-node", "value": "true"},
        {"op": "add", "path": "/spec/affinity", "value": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["host-a", "host-b"]},
                {"key": "clipfarm.dev/node-id", "operator": "NotIn", "values": ["7"]},
            ]}]},
        }}},
    ]  # fmt: skip


ON_A = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}
NOT_B = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["b"]}]}
ARCH, ZONE = ({"key": key, "operator": "In", "values": [value]} for key, value in (("arch", "amd64"), ("zone", "1")))
PREFERRED = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}]}


def required(*terms: Any, **more: Any) -> dict[str, Any]:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [*terms]}, **more}}


NARROWED = [
    # (what the pod has, what it is narrowed to, what it has then)
    (None, ON_A, required(ON_A)),
    ({}, ON_A, required(ON_A)),
    ({"nodeAffinity": PREFERRED}, ON_A, required(ON_A, **PREFERRED)),
    ({"podAffinity": {"x": 1}}, NOT_B, {"podAffinity": {"x": 1}} | required(NOT_B)),
    (required({"matchExpressions": [ARCH]}), ON_A, required({"matchExpressions": [ARCH]} | ON_A)),
    (
        required({"matchExpressions": [ARCH, ZONE]}, **PREFERRED),
        NOT_B,
        required({"matchExpressions": [ARCH, ZONE, *NOT_B["matchExpressions"]]}, **PREFERRED),
    ),
    # A pod may go where one of its terms matches, so each of them is narrowed.
    (
        required({"matchExpressions": [ARCH]}, {"matchExpressions": [ZONE]}),
        ON_A,
        required({"matchExpressions": [ARCH]} | ON_A, {"matchExpressions": [ZONE]} | ON_A),
    ),
    (required(ON_A), ON_A, required({"matchFields": ON_A["matchFields"] * 2})),
    # An empty term matches nothing, and the API server lets it grow by nothing.
    (required({}, {"matchExpressions": [ARCH]}), ON_A, required({}, {"matchExpressions": [ARCH]} | ON_A)),
]


@pytest.mark.parametrize(("had", "narrower", "has"), NARROWED)
def test_a_pod_keeps_the_affinity_that_others_gave_it_and_goes_to_fewer_nodes(had, narrower, has):
    before = json.dumps(had)
    assert narrowed(had, narrower) == has
    assert json.dumps(had) == before, "the view of the pod is left as it is"


def test_an_affinity_that_is_replaced_has_to_be_the_one_that_was_seen():
    there = required({"matchExpressions": [ARCH]})
    patch = release_patch(replace(POD, affinity=there), "a", 0.0)
    assert patch[-2:] == [
        {"op": "test", "path": "/spec/affinity", "value": there},
        {"op": "add", "path": "/spec/affinity", "value": narrowed(there, ON_A)},
    ]


STATUS = {"phase": "Running", "rendered": 1, "total": 10, "failed": 0, "conditions": []}


def carry_out(server: Server, tracked: Tracked, *changes: Change, status: Any = None, expired: bool = False) -> Applier:
    async def work() -> Applier:
        applier = Applier(server, lambda: 100.0, lambda: 0.0)
        applier.apply(tracked, changes, status, expired=expired)
        assert not applier.free(tracked)
        await tracked.work.doing
        return applier

    return asyncio.run(work())


JOB = Change("create", "/jobs", "Job", "test-render", {"kind": "Job"})
CLAIM = Change("create", "/claims", "PersistentVolumeClaim", "test-clips", {"kind": "PersistentVolumeClaim"})


def test_changes_come_one_after_the_other_and_the_status_last(tracked):
    server = Server()
    carry_out(server, tracked, CLAIM, JOB, status=STATUS)
    assert [path for _, path, _ in server.requests][:2] == ["/claims", "/jobs"]
    assert server.requests[2][1] == "/apis/clipfarm.dev/v1alpha1/namespaces/ns/benchmarkruns/test/status"
    assert server.requests[2][2] == {"metadata": {"uid": "run-1"}, "status": STATUS}
    assert (tracked.status, tracked.work.made) == (STATUS, {"PersistentVolumeClaim": 100.0, "Job": 100.0})
    assert [body["reason"] for verb, _, body in server.requests[3:]] == ["Running"]


def test_a_field_of_the_status_that_is_no_longer_there_is_removed(tracked):
    tracked.status = {"completionTime": "x", "phase": "Running"}
    server = Server()
    carry_out(server, tracked, status=STATUS)
    assert server.requests[0][2]["status"]["completionTime"] is None


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (ApiError(403, "forbidden: quota"), "cannot create the Job test-render: forbidden: quota"),
        (ApiError(422, "invalid"), "cannot create the Job test-render: invalid"),
        (ApiError(409, "there"), ""),
        (ApiError(403, "the namespace is being terminated"), ""),
        (ApiError(404, "no namespace"), ""),
        (ApiError(500, "etcd"), ""),
        (LOST, ""),
    ],
)
def test_what_cannot_be_done_is_said_and_tried_again_a_moment_later(tracked, answer, problem):
    applier = carry_out(Server(answer), tracked, JOB)
    assert tracked.work.problem == problem
    assert not applier.free(tracked)
    tracked.work.not_before = 100.0
    assert applier.free(tracked)
    carry_out(Server(), tracked, JOB)
    assert tracked.work.problem == ""


SINCE = "one of that name has been there since 2026-11-26T12:00:00Z, and"


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        pytest.param(
            {"ownerReferences": [{"kind": "CronJob", "name": "nightly", "uid": "other"}]},
            f"{SINCE} belongs to the CronJob nightly; delete it, or rename the run",
            id="another's",
        ),
        pytest.param(
            {"managedFields": [{"manager": "kubectl-create"}]},
            f"{SINCE} belongs to no run; kubectl-create made it; delete it, or rename the run",
            id="made by hand",
        ),
        pytest.param({}, f"{SINCE} belongs to no run; delete it, or rename the run", id="an orphan"),
        pytest.param(
            {"ownerReferences": [{"kind": "BenchmarkRun", "name": "test", "uid": "run-1", "controller": True}]},
            "",
            id="its own, made by a request whose answer was lost",
        ),
    ],
)
def test_whose_object_stands_in_the_way_is_said(tracked, metadata, says):
    owned = {"ownerReferences": [{"uid": "run-1", "controller": True}]}
    job = Change("create", "/jobs", "Job", "test-render", {"kind": "Job", "metadata": owned})
    there = {"metadata": {"creationTimestamp": "2026-11-26T12:00:00Z"} | metadata}
    carry_out(Server(ApiError(409, "there"), pod=there), tracked, job)
    assert tracked.work.problem == (f"cannot create the Job test-render: {says}" if says else "")


def test_a_claim_that_is_there_already_is_what_was_wanted(tracked):
    carry_out(Server(ApiError(409, "there")), tracked, CLAIM)
    assert (tracked.work.problem, tracked.work.made) == ("", {"PersistentVolumeClaim": 100.0})


EVICTION = Change(
    "evict",
    "/pods/p/eviction",
    "Pod",
    "p",
    {"kind": "Eviction", "deleteOptions": {"preconditions": {"uid": "u"}}},
    Notice("Warning", "PodStuck", "why"),
)


def test_a_pod_that_was_evicted_is_told_of_and_known_to_be(tracked):
    server = Server()
    carry_out(server, tracked, EVICTION)
    assert [(verb, path) for verb, path, _ in server.requests] == [
        ("create", "/pods/p/eviction"),
        ("create", "/api/v1/namespaces/ns/events"),
    ]
    assert (server.requests[1][2]["type"], server.requests[1][2]["reason"]) == ("Warning", "PodStuck")
    assert (tracked.work.on_job.evicted, tracked.work.made) == ({"u"}, {})


@pytest.mark.parametrize("answer", [ApiError(404, "gone"), ApiError(409, "another UID"), ApiError(429, "budget"), LOST])
def test_a_pod_that_could_not_be_evicted_is_not_told_of_and_may_be_tried_again(tracked, answer):
    server = Server(answer)
    carry_out(server, tracked, EVICTION)
    assert len(server.requests) == 1
    assert (tracked.work.on_job.evicted, tracked.work.problem) == (set(), "")


def test_a_status_that_could_not_be_written_is_written_anew(tracked):
    carry_out(Server(ApiError(409, "another run")), tracked, status=STATUS)
    assert tracked.status == {}


def test_of_a_run_that_goes_meanwhile_the_rest_is_left_undone(tracked):
    class Vanishing(Server):
        async def create(self, path: str, body: Any) -> Any:
            tracked.gone = True
            return await super().create(path, body)

    server = Vanishing()
    carry_out(server, tracked, CLAIM, JOB, status=STATUS)
    assert [path for _, path, _ in server.requests] == ["/claims"]


def test_a_run_whose_time_is_over_is_deleted_and_no_other_of_its_name(tracked):
    server = Server()
    carry_out(server, tracked, JOB, status=STATUS, expired=True)
    assert server.requests == [("delete", "/apis/clipfarm.dev/v1alpha1/namespaces/ns/benchmarkruns/test", "run-1")]


def test_what_happens_again_and_again_is_one_event_whose_count_grows():
    series = Series(first=1.0)
    written = [series.count for second in range(0, 600, 5) if series.take(float(second))]
    assert written[:3] == [1, 2, 3], "the first few at once"
    assert 9 <= len(written[3:]) <= 11, "then one a minute, with those in between in its count"
    assert series.count == 120
    names = {event(KEY, "uid", Notice("Warning", "VRAMHeld", text), series, 9.0)["metadata"]["name"] for text in "ab"}
    assert len(names) == 1


FILES = Change("create", "/configmaps", "ConfigMap", "test-render-1", {"kind": "ConfigMap"})


@pytest.mark.parametrize(
    ("answer", "made"),
    [({}, True), (ApiError(409, "is there"), True), (ApiError(403, "forbidden"), False), (LOST, False)],
)
def test_a_job_is_made_only_when_what_its_pods_read_is_there(tracked, answer, made):
    server = Server(answer)
    carry_out(server, tracked, replace(JOB, needs=FILES))
    assert [path for verb, path, _ in server.requests if verb == "create"] == [
        "/configmaps",
        *(["/jobs"] if made else []),
    ]
    assert ("Job" in tracked.work.made) is made


def test_what_earlier_attempts_left_is_deleted_by_its_labels(tracked):
    server = Server()
    carry_out(
        server, tracked, Change("clear", "/configmaps", "ConfigMaps", "of", {"labelSelector": "a"}, optional=True)
    )
    assert server.requests == [("delete all", "/configmaps", {"labelSelector": "a"})]

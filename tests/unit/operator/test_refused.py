"""Why no pod is made: when the API server is asked to take one, and what its answer says."""

import asyncio
from dataclasses import replace

import pytest

from clipfarm.cluster.api.errors import ApiError
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import DeploymentView, JobView, deployment
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.refused import (
    AGAIN_SECONDS,
    MISSING_SECONDS,
    ask,
    explained,
    is_due,
    judge,
)
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.unmade import next_indexes, pods_missing
from clipfarm.cluster.observing.work import Trial
from clipfarm.cluster.process import poller
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.plan import decide
from clipfarm.manifests.common import Images, Owner
from clipfarm.world import Running
from clipfarm_contract.indexes import Indexes
from helpers.runs import NODE, make_run, make_world

KEY = ("ns", "test")
POD = 'pods "test-render-0-x7k2p" is forbidden: '

# status, answer, what is said first, and a word of what to do
REFUSALS = [
    (403, POD + "no PriorityClass with name batch was found", "no PriorityClass", "render.pod.priorityClassName"),
    (403, POD + 'pod rejected: RuntimeClass "nvidia" not found', "pod rejected", "render.pod.runtimeClassName"),
    (403, POD + "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2", "exceeded quota: q", "raise"),
    (403, POD + "failed quota: q: must specify limits.cpu for: encode", "failed quota", "LimitRange"),
    (403, POD + "maximum memory usage per Container is 1Gi, but limit is 2Gi", "maximum memory", "render.memory"),
    (403, POD + "cpu max limit to request ratio per Pod is 1", "cpu max limit", "change the LimitRange"),
    (403, POD + 'violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)', "violates", "label"),
    (400, 'admission webhook "a.example.com" denied the request: no', "admission webhook", "ask the owner"),
    (403, POD + "ValidatingAdmissionPolicy 'team' with binding 'team' denied request: no", "Validating", "ask"),
    (500, 'Internal error occurred: failed calling webhook "a": connection refused', "failed", "restart that webhook"),
    (403, POD + 'error looking up service account ns/default: serviceaccount "default" not found', "error", "create"),
    (422, 'Pod "test-render-0-x7k2p" is invalid: spec.containers[0].image: Required value', "spec.containers", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "answer", "first", "advice"), REFUSALS)
def test_a_refusal_is_named_without_the_name_of_a_pod_that_never_was_and_with_what_to_do(code, answer, first, advice):
    trial = judge(ApiError(code, answer))
    assert trial.refusal.startswith(first)
    assert advice in trial.refusal.partition("; ")[2]
    assert not trial.unknown


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (429, "too many requests"),
        (500, "etcdserver: request timed out"),
        (403, 'pods is forbidden: User "x" cannot create resource "pods" in API group "" in the namespace "ns"'),
        (400, 'admission webhook "a.example.com" does not support dry run'),
        (403, "namespace ns is being terminated"),
    ],
)
def test_an_answer_that_says_nothing_about_the_jobs_pods_is_unknown(code, answer):
    assert judge(ApiError(code, answer)) == Trial(unknown=answer)


def test_an_encoder_is_advised_by_its_own_fields():
    assert "encode.pod.priorityClassName" in explained(REFUSALS[0][1], "encode")
    assert "encode.memory" in explained(REFUSALS[4][1], "encode")


def job(parallelism=3, *, suspended=False, completed="", failed="") -> JobView:
    parsed = {"completed": Indexes.parse(completed), "failed": Indexes.parse(failed)}
    return JobView(KEY, "job-1", "run-1", parallelism, suspended=suspended, deleting=False, attempt="", **parsed)


def pods(count, gate=None, owner="job-1") -> list[PodView]:
    return [PodView(f"p-{index}", f"u-{index}", KEY, owner, index, gate, "n", None) for index in range(count)]


@pytest.mark.parametrize(
    ("of", "there", "missing"),
    [
        (None, [], False),
        (job(), [], True),
        (job(suspended=True), [], False),
        (job(), pods(2), True),
        (job(), pods(3), False),
        (job(), pods(2, gate=0), False),  # one waits at its gate: the operator holds it, not the API server
        (job(), pods(3, owner="job-0"), True),
        (job(completed="0-3"), pods(1), False),
        (job(completed="0-3", failed="4"), [], False),
    ],
)
def test_pods_are_missing_when_a_job_has_fewer_than_it_asks_for_and_none_at_a_gate(of, there, missing):
    assert pods_missing(of, 5, there) is missing


@pytest.mark.parametrize(
    ("of", "there", "indexes"),
    [
        (job(), [], [0, 1, 2]),
        (job(), pods(1), [1, 2]),
        (job(4, completed="0-2", failed="3"), pods(0), [4]),
        (job(9), pods(2), [2, 3, 4]),
    ],
)
def test_the_clips_that_are_held_are_those_that_the_job_would_make_next(of, there, indexes):
    assert list(next_indexes(of, 5, there)) == indexes


def test_clips_whose_pods_are_refused_are_held_whether_or_not_others_run():
    run = make_run(5)
    world = make_world(
        run, waiting=(), refused=(3, 4), refusal="exceeded quota: q", running=(Running(0, NODE, None, 1),)
    )
    [held] = decide(run, world).status.held
    assert (held.hold.reason, held.indexes) == ("PodsRefused", (3, 4))
    assert held.hold.message == "the API server refuses the run's pods: exceeded quota: q"


@pytest.fixture
def tracked() -> Tracked:
    made = Tracked(Asked(make_run(5), Owner("ns", "run-1", {}), 1), {})
    made.memory = made.memory.on(job(), made.run, made.owner)
    return made


def see(tracked: Tracked, store: Store, now: float) -> None:
    """One look at the run and its Job."""
    store.jobs.put("job-1", replace(job(), owner="run-1"))
    look(tracked, Seen(store, Gpus(), now, 1.8e9))


def test_the_api_server_is_asked_some_seconds_after_pods_are_missing_and_then_now_and_then(tracked):
    store = Store()
    assert not is_due(tracked, 1000.0)
    see(tracked, store, 1000.0)
    see(tracked, store, 1001.0)
    assert not is_due(tracked, 1000.0 + MISSING_SECONDS - 1)
    assert is_due(tracked, 1000.0 + MISSING_SECONDS)
    tracked.answers.tried_at = 1000.0 + MISSING_SECONDS
    tracked.answers.trial = Trial("exceeded quota")
    assert not is_due(tracked, 1000.0 + MISSING_SECONDS + AGAIN_SECONDS - 1)
    assert is_due(tracked, 1000.0 + MISSING_SECONDS + AGAIN_SECONDS)
    see(tracked, store, 1010.0)
    assert tracked.memory.rendering.refused == (0, 1, 2)
    for pod in pods(3):
        store.pods.put(pod.uid, pod)
    see(tracked, store, 1020.0)
    assert (tracked.answers.trial, tracked.memory.rendering.refused, is_due(tracked, 9999.0)) == (Trial(), (), False)


def see_another(tracked: Tracked, store: Store, now: float) -> None:
    """One look after a retry has replaced the Job; pods of the new one are missing, too."""
    store.jobs.drop("job-1")
    tracked.asked = replace(tracked.asked, owner=replace(tracked.owner, attempt="2"))
    store.jobs.put("job-2", replace(job(), uid="job-2", owner="run-1", attempt="2"))
    look(tracked, Seen(store, Gpus(), now, 1.8e9))
    assert tracked.memory.rendering.job == "job-2"


def test_what_was_answered_for_one_job_says_nothing_about_the_next(tracked):
    store = Store()
    see(tracked, store, 1000.0)
    tracked.answers.trial = Trial("exceeded quota")
    see(tracked, store, 1001.0)
    assert tracked.memory.rendering.refused == (0, 1, 2)
    see_another(tracked, store, 1002.0)
    assert (tracked.answers.trial, tracked.memory.rendering.refused) == (Trial(), ())


@pytest.mark.parametrize("replaced", [True, False])
def test_an_answer_that_comes_after_its_job_was_replaced_is_dropped(tracked, replaced, monkeypatch):
    store, marked = Store(), []
    refusal = Trial("exceeded quota")
    see(tracked, store, 1000.0)

    async def answered_late(*_):
        if replaced:
            see_another(tracked, store, 1010.0)
        return refusal

    monkeypatch.setattr(poller.refused, "ask", answered_late)
    monkeypatch.setattr(poller.refused, "is_due", lambda *_: True)
    asking = poller.Poller(None, store, {KEY: tracked}, Gpus(), Images(), marked.append, "direct")
    asyncio.run(asking._try(KEY, tracked))
    assert (tracked.answers.trial, marked) == ((Trial(), []) if replaced else (refusal, [KEY]))


class Server:
    """Takes what it is asked to create, and keeps it."""

    async def create(self, path, body):
        self.path, self.body = path, body
        return body


def test_the_dry_run_stores_nothing_and_is_a_pod_as_the_job_controller_makes_it(tracked):
    server = Server()
    assert asyncio.run(ask(server, tracked, Images())) == Trial()
    assert server.path == "/api/v1/namespaces/ns/pods?dryRun=All"
    metadata = server.body["metadata"]
    assert metadata["labels"]["job-name"] == "test-render"
    assert metadata["labels"]["clipfarm.dev/run"] == "test"
    assert [owner["uid"] for owner in metadata["ownerReferences"]] == ["job-1"]
    assert server.body["spec"]["schedulingGates"], "should it ever be stored, it does nothing"


def test_what_keeps_an_encoder_from_being_made_is_read_from_its_deployment(tracked):
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "message": POD + "failed quota: q: must specify limits.cpu",
    }
    metadata = {"name": "test-encode", "namespace": "ns", "uid": "d", "labels": {"clipfarm.dev/run": "test"},
                "ownerReferences": [{"kind": "BenchmarkRun", "uid": "run-1", "controller": True}]}  # fmt: skip
    manifest = {"metadata": metadata, "spec": {"replicas": 1}, "status": {"conditions": [condition]}}
    store, view = Store(), deployment(manifest)
    assert isinstance(view, DeploymentView)
    store.deployments.put("d", view)
    see(tracked, store, 1000.0)
    assert tracked.memory.encoder_refusal.startswith("failed quota: q: must specify limits.cpu; ")
    condition["status"] = "False"
    store.deployments.put("d", deployment(manifest))
    see(tracked, store, 1001.0)
    assert tracked.memory.encoder_refusal == ""

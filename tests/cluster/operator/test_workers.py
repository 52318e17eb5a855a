"""How many pods are at work: workers that change, suspended runs, several runs, a run from before the operator."""

import pytest

from helpers.cluster import Namespace
from helpers.kubelet import End, Kubelet, end_pod
from helpers.local import wait_until
from helpers.operators import JOBS, RUNS, Runs, Witness, run_document


@pytest.fixture
def held(definition, driven: Namespace, start_operator) -> Runs:
    """Runs whose pods run until the test ends them, with an operator."""
    start_operator(driven)
    return Runs(driven)


def test_workers_may_become_more_and_fewer_and_nothing_that_runs_is_ended(held: Runs):
    held.create(clips=20, workers=2)
    wait_until(lambda: len(held.at_work()) == 2, "two pods at work")
    held.patch(workers=6)
    held.running(6)
    held.patch(workers=1)
    wait_until(lambda: held.status()["observedGeneration"] == 3, "the change to be seen")
    before = {pod["metadata"]["name"] for pod in held.at_work()}
    assert len(before) == 6
    # Pods end one by one: none starts before only one is left.
    for name in sorted(before)[:5]:
        end_pod(held.namespace, name)
    wait_until(lambda: held.status()["rendered"] == 5, "five clips to be counted")
    assert {pod["metadata"]["name"] for pod in held.at_work()} == before - set(sorted(before)[:5])
    with Witness(held.namespace) as witness, Kubelet(held.namespace, lambda _: End(seconds=0.1)):
        status = held.finished()
    assert (status["phase"], witness.most) == ("Succeeded", 1)
    assert set(held.attempts().values()) == {1}


def test_a_suspended_run_starts_nothing_lets_what_runs_go_on_and_goes_on_later(held: Runs):
    held.create(clips=4, workers=2)
    running = held.running(2)
    held.patch(suspend=True)
    wait_until(lambda: held.status()["observedGeneration"] == 2, "the change to be seen")
    for pod in running:
        end_pod(held.namespace, pod["metadata"]["name"])
    wait_until(lambda: held.status()["rendered"] == 2, "both clips to be counted")
    wait_until(lambda: held.status()["phase"] == "Suspended", "the run to say that it is suspended")
    assert not held.at_work()
    assert "spec.suspend is true" in held.condition("Progressing")["message"]
    with Kubelet(held.namespace, lambda _: End()):
        held.patch(suspend=False)
        assert held.finished()["phase"] == "Succeeded"


def test_a_job_that_somebody_else_suspends_is_left_alone(held: Runs):
    held.namespace.create(RUNS, queued("team-a"))
    job = wait_until(lambda: held.namespace.list(JOBS), "the job")[0]
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert job["spec"]["parallelism"] == 2
    wait_until(lambda: held.condition("Ready")["reason"] == "JobSuspended", "the run to say so")
    assert "by the queue team-a" in held.condition("Ready")["message"]
    held.namespace.patch(JOBS, "run-render", body={"spec": {"suspend": False}})
    with Kubelet(held.namespace, lambda _: End()):
        assert held.finished()["phase"] == "Succeeded"


def queued(queue: str):
    document = run_document(clips=4, workers=2)
    document["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": queue}
    return document


def test_workers_follow_the_cpus_of_the_nodes_that_fit_where_the_run_does_not_say(held: Runs):
    # Three nodes with 100 CPUs each; 90 threads leave none over, and each node renders one clip at least.
    held.create(clips=5, render={"threads": 90})
    wait_until(lambda: len(held.at_work()) == 3, "one pod for each node")
    [job] = held.namespace.list(JOBS)
    limits = job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "90", "memory": "2Gi"}


def test_a_run_made_before_the_operator_started_is_carried_out(runs: Runs, start_operator, namespace: Namespace):
    runs.create(clips=3)
    start_operator(namespace)
    assert runs.finished()["rendered"] == 3


def test_two_runs_at_once_each_have_their_own_workers(runs: Runs, operator, namespace: Namespace):
    with Witness(namespace, "one") as one, Witness(namespace, "two") as two:
        runs.create("one", clips=10, workers=2, seconds="0.3")
        runs.create("two", clips=12, workers=3, seconds="0.3")
        assert runs.finished("one")["rendered"] == 10
        assert runs.finished("two")["rendered"] == 12
    assert (one.most, two.most) == (2, 3)


def test_thirty_runs_at_once_all_succeed(runs: Runs, operator):
    names = [runs.create(f"run-{number}", clips=4, workers=2) for number in range(30)]
    for name in names:
        assert runs.finished(name, limit=90)["rendered"] == 4
    status, text = operator.http("/metrics")
    assert (status, 'clipfarm_runs{phase="Succeeded"} 30.0' in text) == (200, True)

"""Whatever is killed, at whatever moment: every clip is made once, none is stuck, and no pod too many is at work."""

import random
import signal
import time

from helpers.cluster import ControlPlane, Namespace
from helpers.local import wait_until
from helpers.operators import EVENTS, JOBS, RUNS, Operator, Runs, Witness

CLIPS, WORKERS, KILLS = 200, 12, 20


def test_an_operator_that_is_killed_20_times_and_an_api_server_that_is_restarted_twice_lose_nothing(
    runs: Runs, operator: Operator, namespace: Namespace, control_plane: ControlPlane
):
    chance = random.Random(7)
    with Witness(namespace) as witness:
        runs.create(clips=CLIPS, workers=WORKERS, seconds="1-3")
        for kill in range(KILLS):
            # From a moment before anything was read to well after the first decisions.
            time.sleep(chance.uniform(0.2, 2.5))
            operator.kill()
            if kill in (6, 13):
                control_plane.restart("apiserver", pause=0.5)
            operator.start()
        status = runs.finished(limit=180)
        wait_until(lambda: sum(witness.started.values()) == CLIPS, "the witness to see everything")
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", CLIPS, 0)
    assert runs.attempts() == dict.fromkeys(range(CLIPS), 1)
    assert WORKERS - 2 <= witness.most <= WORKERS

    def reported() -> list[str]:
        about_run = [each for each in namespace.list(EVENTS) if each["involvedObject"]["kind"] == "BenchmarkRun"]
        return [event["reason"] for event in about_run]

    wait_until(lambda: "Succeeded" in reported(), "the event of its end")
    assert reported().count("Succeeded") == 1


def test_an_operator_goes_on_while_the_api_server_comes_back(
    runs: Runs, operator: Operator, control_plane: ControlPlane
):
    runs.create(clips=30, workers=5, seconds="0.5")
    wait_until(lambda: runs.status().get("rendered", 0) >= 5, "some clips")
    pid = operator.pid
    for _ in range(2):
        control_plane.restart("apiserver", pause=1)
    assert runs.finished()["rendered"] == 30
    assert (operator.running, operator.pid) == (True, pid)
    assert runs.attempts() == dict.fromkeys(range(30), 1)
    assert operator.http("/healthz")[0] == 200


def test_a_run_that_is_deleted_while_it_runs_goes_with_all_that_was_made_for_it(
    runs: Runs, operator: Operator, namespace: Namespace
):
    runs.create(clips=50, workers=5, seconds="3600")
    wait_until(lambda: len(runs.at_work()) == 5, "pods at work")
    assert not runs.get()["metadata"].get("finalizers")
    namespace.delete(RUNS, "run")
    wait_until(lambda: not namespace.list(RUNS) and not namespace.list(JOBS), "the job to go")
    wait_until(lambda: not namespace.pods(), "the pods to go")
    assert operator.running
    runs.create("other", clips=2)
    assert runs.finished("other")["rendered"] == 2
    assert "clipfarm_runs" in operator.http("/metrics")[1]
    assert not namespace.list(JOBS, "clipfarm.dev/run=run"), "nothing is made for a run that is gone"


def test_a_run_that_is_deleted_while_the_operator_is_down_goes_at_once(
    runs: Runs, operator: Operator, namespace: Namespace
):
    runs.create(clips=50, workers=5, seconds="3600")
    wait_until(lambda: len(runs.at_work()) == 5, "pods at work")
    operator.kill()
    namespace.delete(RUNS, "run")
    wait_until(lambda: not namespace.list(RUNS), "the run to go", limit=5)
    operator.start()
    wait_until(lambda: not namespace.list(JOBS) and not namespace.pods(), "job and pods to go")


def test_a_run_of_the_same_name_is_another_run(runs: Runs, operator: Operator, namespace: Namespace):
    runs.create(clips=6, workers=6, seconds="0", ends={3: [1]})
    assert runs.finished()["failed"] == 1
    first = namespace.get(JOBS, "run-render")["metadata"]["uid"]
    namespace.delete(RUNS, "run")
    runs.create(clips=4, workers=2)
    status = runs.finished()
    assert (status["phase"], status["rendered"], status["failed"], status["total"]) == ("Succeeded", 4, 0, 4)
    assert namespace.get(JOBS, "run-render")["metadata"]["uid"] != first


def test_an_operator_that_is_asked_to_end_does_so_at_once(operator: Operator):
    operator.address()
    wait_until(lambda: operator.http("/readyz")[0] == 200, "everything to be read")
    begun = time.monotonic()
    assert operator.end(signal.SIGTERM) == 0
    # Of the 30 s that a pod has; a busy machine takes some of them.
    assert time.monotonic() - begun < 10


def test_a_finished_run_goes_when_its_time_is_over_and_its_claim_stays(
    runs: Runs, operator: Operator, namespace: Namespace
):
    runs.create(clips=2, ttlAfterFinished="3s")
    runs.finished()
    wait_until(lambda: not namespace.list(RUNS), "the run to go", limit=20)
    assert namespace.list("v1/persistentvolumeclaims")

"""Runs on a real control plane: what becomes of clips, by how their pods end."""

import json
from datetime import datetime

from helpers.cluster import ControlPlane, Namespace
from helpers.definition import is_taken, without_rules
from helpers.kubelet import End, Kubelet, attempt, index
from helpers.local import wait_until
from helpers.operators import CLAIMS, EVENTS, JOBS, RUNS, Operator, Runs, Witness, run_document


def test_twenty_clips_are_made_once_each_and_never_more_at_a_time_than_there_are_workers(
    runs: Runs, operator: Operator, namespace: Namespace
):
    with Witness(namespace) as witness:
        runs.create(clips=20, seconds="0.3", workers=4)
        status = runs.finished()
        wait_until(lambda: sum(witness.started.values()) == 20, "the witness to see everything")
    assert (status["phase"], status["rendered"], status["failed"], status["total"]) == ("Succeeded", 20, 0, 20)
    assert (witness.most, witness.started) == (4, dict.fromkeys(range(20), 1))
    assert (status["running"], status["heldClips"], status["held"], status["retried"]) == (0, 0, [], 0)
    assert runs.condition("Ready")["status"] == "True"
    assert runs.condition("StorageReady")["status"] == "True"
    assert status["completionTime"]

    def reasons() -> list[str]:
        about_run = [each for each in namespace.list(EVENTS) if each["involvedObject"]["kind"] == "BenchmarkRun"]
        return [event["reason"] for event in about_run]

    wait_until(lambda: "Succeeded" in reasons(), "the event of its end")
    assert sorted(reasons()) == ["Running", "Succeeded"]


ENDS = {
    0: [0],
    1: [1],  # fails at once
    2: [2, 0],  # out of GPU memory, then done
    3: [2, 2],  # twice out of GPU memory
    4: [137],  # killed for its memory
    5: ["evicted", 0],  # does not count
    6: ["evicted", 2, 0],  # the eviction does not take the place of the second attempt
    7: [77],  # an exit code of nobody's
    8: [143, 0],  # somebody deleted it
    9: [75, 0],  # the first clips of its block failed alike, then done
    10: [76],  # of a pod with one clip, an exit code of nobody's
}


def test_what_becomes_of_a_clip_follows_from_how_its_pods_end(runs: Runs, operator: Operator, namespace: Namespace):
    runs.create(clips=11, ends=ENDS, workers=11, retry={"limit": 1, "delay": "1s"})
    status = runs.finished()
    assert (status["phase"], status["rendered"], status["failed"]) == ("CompletedWithFailures", 6, 5)
    assert runs.attempts() == {clip: len(ends) for clip, ends in ENDS.items()}
    reasons = {entry["clips"]: entry["reason"] for entry in status["failures"]}
    assert reasons == {
        "1": "exit status 1",
        "3": "ended with 2, which the contract keeps for GPU memory",
        "4": "the kernel ended the pod: it took more memory than render.memory allows",
        "7": "exit status 77",
        "10": "exit status 76",
    }
    job = namespace.get(JOBS, "run-render")["status"]
    assert (job["completedIndexes"], job["failedIndexes"]) == ("0,2,5,6,8,9", "1,3,4,7,10")
    assert "retry" in runs.condition("Ready")["message"]


def test_a_clip_that_ran_out_of_gpu_memory_is_held_at_its_gate_until_the_delay_is_over(
    runs: Runs, start_operator, driven: Namespace
):
    # The Job controller itself waits about 10 s before it makes the second pod.
    delay = 14.0
    start_operator(driven)
    runs = Runs(driven)
    ends = {0: [End(2), End()], 1: [End()]}
    with Kubelet(driven, lambda pod: ends[index(pod)][attempt(pod)]) as kubelet:
        runs.create(clips=2, workers=2, retry={"delay": f"{delay:g}s"})
        held = wait_until(lambda: runs.condition("Progressing")["reason"] == "RetryDelay", "the clip to be held")
        assert held
        assert runs.status()["retried"] == 1
        assert "starts again 14s after that" in runs.condition("Progressing")["message"]
        assert runs.finished()["phase"] == "Succeeded"
    first, second = (pod for pod in kubelet.started if index(pod) == 0)
    [failed] = [pod for pod in runs.pods() if pod["status"]["phase"] == "Failed"]
    ended = failed["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
    waited = _seconds(second["status"]["startTime"]) - _seconds(ended)
    assert delay - 1 <= waited <= delay + 4  # the API server's times are whole seconds
    assert first["metadata"]["uid"] == failed["metadata"]["uid"]


def test_reasons_come_from_the_last_words_of_the_renderer(runs: Runs, operator: Operator):
    said = {"clips": [{"index": 0, "exitCode": 1, "reason": "it never moved", "seconds": {}}]}
    runs.create(clips=1, ends={0: [1]}, annotations={"clipfarm.test/message": json.dumps(said)})
    status = runs.finished()
    assert status["phase"] == "Failed"  # not one clip is there
    assert status["failures"] == [{"clips": "0", "stage": "render", "reason": "it never moved"}]


def test_a_renderer_that_refuses_the_run_ends_it_and_nothing_waits_at_a_gate(runs: Runs, operator: Operator):
    message = "clipfarm-render: experiment.objects: no such shape"
    runs.create(clips=50, workers=1, ends={0: [64]}, annotations={"clipfarm.test/message": message})
    status = runs.finished()
    assert status["phase"] == "Failed"
    assert "no such shape" in runs.condition("Ready")["message"]
    assert runs.attempts() == {0: 1}
    wait_until(lambda: not runs.gated(), "the pods at their gates to go")


def test_pods_that_make_blocks_are_counted_in_clips(runs: Runs, operator: Operator):
    # The last block has one clip. Of block 1 one clip failed, and the pod says so.
    said = {"clips": [{"index": i, "exitCode": int(i == 4), "reason": "black" if i == 4 else ""} for i in (3, 4, 5)]}
    runs.create(
        clips=10,
        ends={1: [1]},
        render={
            "clipsPerPod": 3,
            "pod": {
                "annotations": {
                    "clipfarm.test/run-seconds": "0",
                    "clipfarm.test/ends": '{"1": [1]}',
                    "clipfarm.test/message": json.dumps(said),
                }
            },
        },
    )
    status = runs.finished()
    assert (status["total"], status["rendered"], status["failed"]) == (10, 9, 1)
    assert status["failures"] == [{"clips": "4", "stage": "render", "reason": "black"}]


def test_a_block_breaks_off_as_often_as_its_clips_have_attempts_and_no_more(runs: Runs, operator: Operator):
    # Two clips of block 0 ran out of GPU memory once each, which the Job does not count. Block 1 never gets on.
    told = {"clips": [{"index": i, "exitCode": 2, "reason": "GPU memory ran out", "again": True} for i in (0,)]}
    notes = {
        "clipfarm.test/run-seconds": "0",
        "clipfarm.test/ends": json.dumps({"0": [76, 76, 0], "1": [76] * 9}),
        "clipfarm.test/message": json.dumps(told),
    }
    render = {"clipsPerPod": 2, "pod": {"annotations": notes}}
    runs.create(clips=4, retry={"limit": 1, "delay": "1s"}, render=render)
    status = runs.finished()
    assert (status["phase"], status["rendered"], status["failed"]) == ("CompletedWithFailures", 2, 2)
    assert runs.attempts() == {0: 3, 1: 3}
    wait_until(lambda: not runs.gated(), "the pod at its gate to go")


def test_a_run_whose_pods_give_up_ends_before_they_are_tried_again_and_stays_ended(runs: Runs, operator: Operator):
    said = {"clips": [{"index": i, "exitCode": 1, "reason": f"no bean for clip {i}"} for i in (0, 1, 2)]}
    pod = {"annotations": {"clipfarm.test/end": "75", "clipfarm.test/message": json.dumps(said)}}
    runs.create(clips=100, workers=1, retry={"stopAfter": 3}, render={"clipsPerPod": 10, "pod": pod})
    status = runs.finished()
    assert (status["phase"], status["failed"]) == ("Failed", 10)
    assert runs.condition("Ready")["message"].endswith("(retry.stopAfter): no bean for clip 0")
    wait_until(lambda: not runs.gated(), "the pods at their gates to go")
    listed = {entry["reason"]: entry["clips"] for entry in runs.status()["failures"]}
    assert listed["not tried: its pod ended early, after clips before it had failed"] == "3-9"
    assert (runs.status()["phase"], runs.attempts()) == ("Failed", {0: 1})


def test_the_claim_is_made_and_stays_when_the_run_is_deleted(runs: Runs, operator: Operator, namespace: Namespace):
    runs.create(clips=2)
    runs.finished()
    [claim] = namespace.list(CLAIMS)
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    namespace.delete("clipfarm.dev/v1alpha1/benchmarkruns", "run")
    wait_until(lambda: not namespace.list(JOBS) and not namespace.pods(), "job and pods to go")
    assert [each["metadata"]["name"] for each in namespace.list(CLAIMS)] == ["run-clips"]


def test_a_run_without_a_volume_says_so_and_starts_when_it_gets_one(
    runs: Runs, operator: Operator, namespace: Namespace
):
    document = run_document(clips=2)
    del document["spec"]["storage"]
    namespace.create(RUNS, document)
    wait_until(lambda: runs.condition("StorageReady")["reason"] == "NotAsked", "the condition")
    assert "spec.storage: missing" in runs.condition("Ready")["message"]
    assert not namespace.list(JOBS)
    runs.patch(storage={"size": "1Gi"})
    assert runs.finished()["phase"] == "Succeeded"


def test_a_claim_that_is_not_there_is_named(runs: Runs, operator: Operator):
    runs.create(storage={"claimName": "elsewhere"})
    wait_until(lambda: runs.condition("StorageReady")["reason"] == "Missing", "the condition")
    assert "there is no volume claim elsewhere" in runs.condition("StorageReady")["message"]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_run_that_the_api_server_lets_through_and_makes_no_sense_says_so(
    runs: Runs, operator: Operator, namespace: Namespace, definition: ControlPlane
):
    """As with a definition that is older than the operator, which knows fewer rules."""
    with without_rules(definition, "spec", "vram"):
        wait_until(lambda: is_taken(runs, vram={"checkInterval": "2d", "staleAfter": "1d"}), "the run to be taken")
    wait_until(lambda: runs.status().get("phase") == "Invalid", "the run to say so")
    assert "spec.vram.staleAfter" in runs.condition("Ready")["message"]
    assert not namespace.list(JOBS)
    runs.patch(vram={"staleAfter": "3d"})
    assert runs.finished()["phase"] == "Succeeded"


def test_a_run_with_the_longest_name_and_many_clips_gets_its_pods(runs: Runs, operator: Operator, namespace: Namespace):
    name = "n" * 52
    runs.create(name, clips=17_000, workers=2, seconds="1")
    wait_until(lambda: runs.status(name).get("rendered", 0) >= 2, "clips")
    [job] = namespace.list(JOBS)
    assert job["metadata"]["name"].startswith("n" * 40)


def test_an_orphan_that_has_the_jobs_name_is_named(runs: Runs, operator: Operator, namespace: Namespace):
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}
    orphan = {"metadata": {"name": "run-render"}, "spec": {"suspend": True, "template": {"spec": pod}}}
    namespace.create(JOBS, orphan)
    runs.create(clips=2)
    wait_until(lambda: "belongs to no run" in runs.condition("Ready")["message"], "the condition to say whose it is")
    message = runs.condition("Ready")["message"]
    assert message.startswith("cannot create the Job run-render: one of that name has been there since")
    assert message.endswith("delete it, or rename the run")
    namespace.delete(JOBS, "run-render")
    assert runs.finished()["phase"] == "Succeeded"

"""What the operator builds on, seen on a real control plane: gates, retries by index, and what survives a restart."""

import fcntl
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.cluster import COMMAND, ControlPlane, Namespace, cluster, program
from helpers.kubelet import End, Kubelet, attempt, end_pod, failures, index
from helpers.local import wait_until

GATE = "clipfarm.test/gate"
JOBS, PODS, DEPLOYMENTS, CLAIMS = "batch/v1/jobs", "v1/pods", "apps/v1/deployments", "v1/persistentvolumeclaims"


def job(completions: int, gated: bool = True, parallelism: int | None = None, **annotations: str) -> dict[str, Any]:
    gates = [{"name": GATE}] if gated else []
    return {
        "metadata": {"name": "job"},
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": parallelism or completions,
            "backoffLimitPerIndex": 1,
            "maxFailedIndexes": completions,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                    {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [0, 2]}},
                ]
            },
            "template": {
                "metadata": {
                    "annotations": {
                        f"clipfarm.test/{key.replace('_', '-')}": value for key, value in annotations.items()
                    }
                },
                "spec": {
                    "restartPolicy": "Never",
                    "schedulingGates": gates,
                    "containers": [{"name": "clip", "image": "none"}],
                },
            },
        },
    }


def gated(namespace: Namespace) -> list[dict[str, Any]]:
    return [pod for pod in namespace.pods() if pod["spec"].get("schedulingGates")]


def release(namespace: Namespace, pod: dict[str, Any]) -> None:
    patch = [{"op": "remove", "path": "/spec/schedulingGates"}]
    namespace.patch(PODS, pod["metadata"]["name"], body=patch)


def release_all(namespace: Namespace) -> dict[str, Any] | None:
    """Release what is held; the job's status once it has ended."""
    for pod in gated(namespace):
        release(namespace, pod)
    status = namespace.get(JOBS, "job")["status"]
    ended = any(item["type"] in ("Complete", "Failed") for item in status.get("conditions", []))
    return status if ended else None


def exit_codes(namespace: Namespace, of: int) -> list[int]:
    pods = sorted((failures(pod), pod) for pod in namespace.pods() if index(pod) == of)
    return [pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for _, pod in pods]


def test_gated_pods_are_made_and_each_starts_when_its_gate_is_removed(driven: Namespace):
    driven.create(JOBS, job(5, parallelism=3))
    pods = wait_until(lambda: len(found := gated(driven)) == 3 and found, "three gated pods")
    assert not any("nodeName" in pod["spec"] for pod in pods)
    wait_until(lambda: driven.get(JOBS, "job")["status"].get("active") == 3, "the job to count them")

    chosen = pods[1]["metadata"]["name"]
    release(driven, pods[1])
    wait_until(lambda: driven.get(PODS, chosen)["status"]["phase"] == "Running", "the released pod to run")
    assert len(gated(driven)) == 2

    end_pod(driven, chosen, End(message="done"))
    wait_until(lambda: driven.get(JOBS, "job")["status"].get("succeeded") == 1, "the job to count it")
    wait_until(lambda: len(gated(driven)) == 3, "a gated pod in its place")


def test_ends_of_pods_are_chosen_by_annotations(namespace: Namespace):
    ends = '{"1": [2, 0], "2": [1], "3": ["evicted", 0], "4": [137], "5": [2]}'
    namespace.create(JOBS, job(6, run_seconds="0-0.2", ends=ends, message="as told"))
    status = wait_until(lambda: release_all(namespace), "the job to end")
    assert status["completedIndexes"] == "0,1,3"
    assert status["failedIndexes"] == "2,4,5"

    assert exit_codes(namespace, 1) == [2, 0]
    assert exit_codes(namespace, 2) == [1]
    assert exit_codes(namespace, 5) == [2, 2]
    [killed] = [pod for pod in namespace.pods() if index(pod) == 4]
    terminated = killed["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["reason"], terminated["message"]) == ("OOMKilled", "as told")
    # An eviction is nobody's failure: the second pod still counts as the first attempt.
    assert [failures(pod) for pod in namespace.pods() if index(pod) == 3] == [0, 0]


def test_ends_of_pods_are_chosen_by_the_test(driven: Namespace):
    ends = [
        [End(seconds=0.3)],
        [End(2), End()],
        [End(1, message="no such shape")],
        [End(evicted=True), End()],
    ]
    driven.create(JOBS, job(4))
    with Kubelet(driven, lambda pod: ends[index(pod)][attempt(pod)]):
        status = wait_until(lambda: release_all(driven), "the job to end")
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,1,3", "2")
    assert exit_codes(driven, 1) == [2, 0]
    [refused] = [pod for pod in driven.pods() if index(pod) == 2]
    assert refused["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == "no such shape"


def test_a_pod_that_is_deleted_while_it_runs_fails_first(namespace: Namespace):
    namespace.create(JOBS, job(1, gated=False, run_seconds="3600"))
    [pod] = wait_until(lambda: [pod for pod in namespace.pods() if pod["status"]["phase"] == "Running"], "a pod")
    namespace.delete(PODS, pod["metadata"]["name"])
    wait_until(
        lambda: namespace.get(JOBS, "job")["status"].get("failedIndexes") == "0", "its index to fail by exit code 143"
    )


def test_of_pods_that_no_node_takes_one_that_is_evicted_does_not_count_and_one_that_is_deleted_does(
    driven: Namespace,
):
    made = job(2)
    made["spec"]["template"]["spec"]["nodeSelector"] = {"no": "such"}
    driven.create(JOBS, made)
    pods = wait_until(lambda: len(found := gated(driven)) == 2 and found, "two gated pods")
    names = {index(pod): pod["metadata"]["name"] for pod in pods}
    for pod in pods:
        release(driven, pod)
    path = driven.api.path(PODS, driven.name, names[0], "eviction")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": names[0]}}
    driven.api.request("POST", path, eviction)
    driven.delete(PODS, names[1])
    # Pods that no node has are looked for every 20 s, and fail then.
    others = wait_until(lambda: len(found := gated(driven)) == 2 and found, "two others, at their gates")
    assert {pod["metadata"]["name"] for pod in others}.isdisjoint(names.values())
    assert {index(pod): (failures(pod), attempt(pod)) for pod in others} == {0: (0, 1), 1: (1, 1)}


def test_deployments_stay_up_and_claims_are_bound(namespace: Namespace):
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    namespace.create(CLAIMS, {"metadata": {"name": "clips"}, "spec": claim})
    pod = {
        "containers": [{"name": "encoder", "image": "none", "resources": {"limits": {"nvidia.com/gpu": 1}}}],
        "volumes": [{"name": "clips", "persistentVolumeClaim": {"claimName": "clips"}}],
    }
    labels = {"app": "encoder"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    namespace.create(DEPLOYMENTS, {"metadata": {"name": "encoder"}, "spec": spec})
    wait_until(lambda: namespace.get(DEPLOYMENTS, "encoder")["status"].get("availableReplicas") == 2, "two replicas")
    assert namespace.get(CLAIMS, "clips")["status"]["phase"] == "Bound"


def test_a_killed_api_server_comes_back_with_everything(control_plane: ControlPlane, driven: Namespace):
    driven.create(JOBS, job(2))
    [first, second] = wait_until(lambda: len(found := gated(driven)) == 2 and found, "two gated pods")
    with Kubelet(driven, lambda pod: End(seconds=0.2)):
        release(driven, first)
        before = control_plane.status()
        control_plane.restart("apiserver")
        release(driven, second)
        status = wait_until(lambda: release_all(driven), "the job to end")
    assert status["succeeded"] == 2
    after = control_plane.status()
    changed = {
        name for name, process in after["components"].items() if process["pid"] != before["components"][name]["pid"]
    }
    assert (changed, after["server"]) == ({"kube-apiserver"}, before["server"])


@pytest.fixture
def second(control_plane: ControlPlane):
    name = f"{control_plane.name}-second"
    try:
        yield ControlPlane.up(name, "--nodes", 1)
    finally:
        cluster("down", "--name", name)


def test_two_clusters_know_nothing_of_each_other(
    control_plane: ControlPlane, second: ControlPlane, namespace: Namespace
):
    names = [item["metadata"]["name"] for item in second.api.request("GET", "/api/v1/namespaces")["items"]]
    assert "default" in names
    assert namespace.name not in names

    before = control_plane.status()
    os.kill(second.status()["components"]["kwok"]["pid"], signal.SIGKILL)
    wait_until(lambda: not second.status()["running"], "the loss to be seen")
    assert ControlPlane.up(second.name, "--nodes", 2).status()["running"]
    assert len(second.api.request("GET", "/api/v1/nodes")["items"]) == 2

    second.down()
    components = control_plane.status()["components"]
    assert {name: process["pid"] for name, process in components.items()} == {
        name: process["pid"] for name, process in before["components"].items()
    }


def test_programs_that_nobody_used_lately_are_removed_but_not_those_of_a_cluster(tmp_path: Path):
    cache = tmp_path / "clipfarm"
    builds = cache / "cluster"
    mine = Path(program("kubectl")).parent.parent.name
    for age, name in enumerate([mine, "newest", "newer", "locked", "started", "old", "oldest"]):
        kubectl = builds / name / "bin" / "kubectl"
        kubectl.parent.mkdir(parents=True)
        kubectl.touch()
        (builds / name / "lock").touch()
        # Those of this checkout were used the longest ago, until now.
        seconds = time.time() - (1_000_000 if name == mine else 1000 * age)
        os.utime(builds / name, (seconds, seconds))
    memory = cache / "clusters" / "someones" / "cluster.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps({"programs": {"etcd": str(builds / "started" / "bin" / "etcd")}}))

    with (builds / "locked" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([COMMAND, "build", "kubectl"], env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
                              capture_output=True, text=True, check=False)  # fmt: skip
    assert not done.returncode, done.stderr
    assert done.stdout.strip() == str(builds / mine / "bin" / "kubectl")
    assert {path.name for path in builds.iterdir()} == {mine, "newest", "newer", "locked", "started"}

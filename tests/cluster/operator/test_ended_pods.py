"""Pods that have ended are deleted, and what they told is not lost, whenever the operator dies."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clipfarm.cluster.acting.sweep import KEPT_FAILED
from clipfarm.cluster.observing import results
from clipfarm_contract.objects import RESULTS_ANNOTATION
from helpers.cluster import Namespace
from helpers.local import wait_until
from helpers.operators import JOBS, Operator, Runs, Witness

VRAM = {"peakMiB": 100.0, "averageMiB": 50.0, "deviationMiB": 1.0, "allocatedAfter": 2.0}
MESSAGE = json.dumps({"clips": [{"index": 0, "exitCode": 0, "vram": VRAM}]})
POLICIES = "admissionregistration.k8s.io/v1/validatingadmissionpolicies"


@contextmanager
def no_pod_may_be_deleted(namespace: Namespace) -> Iterator[None]:
    """Have the API server refuse it, so that what comes before it is done and this is not."""
    api, name = namespace.api, f"keep-{namespace.name}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"]}
    chosen = {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
    policy = {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"namespaceSelector": chosen, "resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "pods stay"}],
        },
    }
    binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    api.request("POST", api.path(POLICIES), policy)
    api.request("POST", api.path(f"{POLICIES.removesuffix('ies')}ybindings"), binding)
    try:
        yield
    finally:
        api.request("DELETE", api.path(f"{POLICIES.removesuffix('ies')}ybindings", None, name))
        api.request("DELETE", api.path(POLICIES, None, name))


def kept(runs: Runs) -> results.Results:
    [job] = [each for each in runs.namespace.list(JOBS) if each["metadata"]["name"] == "run-render"]
    return results.read(job["metadata"].get("annotations", {}).get(RESULTS_ANNOTATION, ""))


def test_an_operator_killed_between_taking_pods_in_and_deleting_them_counts_each_once(
    start_operator: Callable[..., Operator], namespace: Namespace
):
    runs = Runs(namespace)
    operator = start_operator(namespace)
    render = {"keepPods": "failed", "device": "cuda"}
    with no_pod_may_be_deleted(namespace), Witness(namespace) as witness:
        runs.create(clips=30, workers=10, annotations={"clipfarm.test/message": MESSAGE},
                    render=render, vram={"enabled": False})  # fmt: skip
        runs.finished()
        wait_until(lambda: kept(runs).deleting.count, "what pods told to be written")
        wait_until(lambda: "pods that have ended stay for now" in operator.log(), "the deletion to be refused")
        operator.kill()
        assert len(runs.pods()) == 30
    operator.start()
    wait_until(lambda: not runs.pods(), "the pods to go")
    memory = kept(runs).memory
    assert memory is not None
    assert (memory.clips, memory.peak_mib) == (30, 100.0)
    status = runs.status()
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", 30, 0)
    assert set(witness.started.values()) == {1}
    assert len(witness.started) == 30


def test_of_many_failed_pods_the_latest_stay_and_no_reason_is_lost(
    start_operator: Callable[..., Operator], namespace: Namespace
):
    runs, count = Runs(namespace), KEPT_FAILED + 20
    operator = start_operator(namespace)
    runs.create(clips=count + 1, workers=40, annotations={"clipfarm.test/end": "1"}, ends={0: [0]},
                render={"keepPods": "failed"}, retry={"stopAfter": 0})  # fmt: skip
    before = runs.finished(limit=120)
    wait_until(lambda: len(runs.pods()) == KEPT_FAILED, "the other pods to go")
    operator.kill()
    operator.start()
    # Another number of workers, so that the status is written anew.
    runs.patch(workers=7)
    after = wait_until(lambda: (found := runs.status())["observedGeneration"] == 2 and found, "a new status")
    assert (after["rendered"], after["failed"], after["failures"]) == (1, count, before["failures"])
    assert after["failures"] == [{"clips": f"1-{count}", "stage": "render", "reason": "exit status 1"}]

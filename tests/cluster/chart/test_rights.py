"""The rights that the chart gives the operator are those that it uses, on a real API server: no fewer, no more."""

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.cluster import ApiError, ControlPlane, Namespace
from helpers.local import wait_until
from helpers.nodes import PlayedNode
from helpers.operators import DEPLOYMENTS, EVENTS, JOBS, PODS, RUNS, Runs, command, is_evicted, strand
from helpers.recorder import Recorder
from helpers.releases import Process, Release

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
LEASES = "/apis/coordination.k8s.io/v1"
ENCODE = {"enabled": True, "weights": {"source": "random"}}


def lose_a_node(runs: Runs, node: PlayedNode) -> None:
    """A pod does not start, and does not say why; then its node dies."""
    runs.create("lost", clips=1, render={"pod": {"nodeSelector": node.selector}}, retry={"lostAfter": "2s"})
    [pod] = node.pods()
    node.take(pod, render={"waiting": {"reason": "ContainerCreating"}})
    node.warn(pod, "FailedMount", "no such share")
    wait_until(lambda: runs.status("lost").get("reason") == "FailedMount", "the word to be read", limit=60)
    node.ready("Unknown")
    runs.namespace.delete(PODS, pod["metadata"]["name"])


def a_long_day(control_plane: ControlPlane, runs: Runs) -> None:
    """Everything that an operator ever does."""
    name = runs.namespace.name
    # A claim, a Job, pods, an encoder, status, events; more workers, more encoders.
    runs.create("run", clips=8, workers=1, seconds="1", encode=ENCODE, render={"keepPods": "failed"})
    wait_until(lambda: runs.namespace.list(JOBS, "clipfarm.dev/run=run"), "a Job")
    runs.patch("run", workers=4)
    [encoder] = wait_until(lambda: runs.namespace.list(DEPLOYMENTS), "an encoder")
    runs.patch("run", encode={"replicas": 2})
    wait_until(lambda: runs.namespace.get(DEPLOYMENTS, encoder["metadata"]["name"])["spec"]["replicas"] == 2, "another")
    wait_until(lambda: runs.status("run").get("phase") == "Encoding", "all clips to be rendered")
    wait_until(lambda: not runs.pods("run"), "pods that have succeeded to be deleted")
    # A clip that fails, and another Job for it.
    runs.create("failing", clips=4, seconds="2", ends={1: [1]})
    assert runs.finished("failing")["failed"] == 1
    [job] = [job for job in runs.namespace.list(JOBS) if job["metadata"]["name"] == "failing-render"]
    done = command(control_plane, "retry", "failing", "--namespace", name)
    assert not done.returncode, done.stderr

    def another_job() -> bool:
        jobs = [each for each in runs.namespace.list(JOBS) if each["metadata"]["name"] == "failing-render"]
        return bool(jobs) and jobs[0]["metadata"]["uid"] != job["metadata"]["uid"]

    wait_until(another_job, "another Job")

    def said_again() -> bool:
        events = runs.namespace.list(EVENTS)
        return any(each["involvedObject"]["name"] == "failing" and each["count"] > 1 for each in events)

    wait_until(said_again, "what happens a second time to be counted in its event")
    # A Job and a Deployment that have the names of a run's, and are not its own.
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    job_template = template | {"spec": template["spec"] | {"restartPolicy": "Never"}}
    runs.namespace.create(
        JOBS, {"metadata": {"name": "jobless-render"}, "spec": {"suspend": True, "template": job_template}}
    )
    deployment = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    runs.namespace.create(DEPLOYMENTS, {"metadata": {"name": "mute-encode"}, "spec": deployment})
    runs.create("jobless", clips=1)
    runs.create("mute", clips=1, encode=ENCODE)
    for each in ("jobless", "mute"):
        wait_until(lambda each=each: "belongs to no run" in runs.condition("Ready", each)["message"], "whose it is")
    # A pod whose node went before the pod got there.
    runs.create("stray", clips=1, suspend=True)
    stray = strand(runs, "stray")
    wait_until(lambda: is_evicted(runs, stray), "the pod to be evicted")
    # A pod that the API server does not take.
    runs.create("refused", clips=1, render={"pod": {"priorityClassName": "none"}})
    wait_until(lambda: runs.condition("Ready", "refused")["reason"] == "PodsRefused", "the refusal to be found")
    wait_until(lambda: runs.condition("NodeLost", "lost")["status"] == "True", "the pod to be given up", limit=120)
    # A run whose time is over.
    runs.create("brief", clips=1, ttlAfterFinished="1s")
    wait_until(lambda: "brief" not in {run["metadata"]["name"] for run in runs.namespace.list(RUNS)}, "the run to go")


@pytest.mark.parametrize(("where", "access"), [("everywhere", "direct"), ("some namespaces", "proxy")])
def test_the_operator_uses_every_right_it_has_and_misses_none(
    control_plane: ControlPlane,
    namespace: Namespace,
    release: Callable[..., Release],
    tmp_path: Path,
    where: str,
    access: str,
):
    other = f"other-{secrets.token_hex(3)}"
    control_plane.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
    chosen = (
        {} if where == "everywhere" else {"watchNamespaces": [namespace.name, other], "vram__dcgm__podSelector": ""}
    )
    installed = release(encoderAccess=access, **chosen)
    # As on a cluster that has had no operator yet.
    with contextlib.suppress(ApiError):
        control_plane.api.request("DELETE", f"{LEASES}/namespaces/default/leases/clipfarm-all-namespaces")
    with Recorder(control_plane.kubeconfig) as recorder:
        # The answer to the first patch that takes a gate off never arrives: the operator has to look.
        recorder.lose_answer("patch", "", "pods")
        with Process(installed, recorder.kubeconfig(installed.token()), tmp_path) as operator:
            runs, node = Runs(namespace), PlayedNode(namespace)
            try:
                lose_a_node(runs, node)  # first, since it takes a minute until its pod is given up
                a_long_day(control_plane, runs)
            finally:
                node.close()
    control_plane.api.request("DELETE", f"/api/v1/namespaces/{other}")
    assert not recorder.refused
    # All of it, under the policies that the chart ships.
    assert control_plane.api.request("GET", f"{POLICIES}/{installed.name}-workloads")
    assert "ValidatingAdmissionPolicy" not in operator.log()
    assert " ERROR " not in operator.log()
    used = {request.right for request in recorder.allowed}
    granted = installed.granted()
    assert {(verb, group, resource) for verb, group, resource, _ in granted} == used
    # Outside its namespaces it asks for nothing but nodes, and for the Lease of all namespaces.
    scopes = {scope for *_, scope in granted}
    assert scopes == ({"", "default"} if where == "everywhere" else {"", "default", namespace.name, other})
    if where != "everywhere":
        assert {request.resource for request in recorder.allowed if not request.namespace} == {"nodes"}

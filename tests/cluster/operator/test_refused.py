"""Pods that the API server does not take: why is said in the run, and it goes on when the cause is gone."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from helpers.cluster import ApiError, ControlPlane, Namespace, temporary_namespace
from helpers.kubelet import end_pod
from helpers.local import wait_until
from helpers.operators import DEPLOYMENTS, EVENTS, JOBS, PODS, Operator, Runs, command
from helpers.policies import POLICIES, Scene

QUOTAS, LIMITS = "v1/resourcequotas", "v1/limitranges"
ENCODE = {"enabled": True, "weights": {"source": "random"}}
LIMIT = 90.0
"""The Job controller tries again within a minute."""


@pytest.fixture
def scene(definition: ControlPlane, namespace: Namespace) -> Iterator[Scene]:
    made = Scene(namespace)
    yield made
    made.remove()


def no_priority_class(scene: Scene) -> dict[str, Any]:
    return {"render": {"pod": {"priorityClassName": scene.name}}}


def no_runtime_class(scene: Scene) -> dict[str, Any]:
    return {"render": {"pod": {"runtimeClassName": scene.name}}}


def quota(scene: Scene) -> dict[str, Any]:
    scene.make(QUOTAS, {"spec": {"hard": {"pods": "0"}}}, inside=True)
    return {}


def limit_range(scene: Scene) -> dict[str, Any]:
    scene.make(LIMITS, {"spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}}, inside=True)
    return {}


def policy(scene: Scene) -> dict[str, Any]:
    refuses = {"validations": [{"expression": "false", "message": "no pods on Thursdays"}]}
    scene.policy("validating", "pods", refuses, {"validationActions": ["Deny"]})
    return {}


def pod_security(scene: Scene) -> dict[str, Any]:
    """Something changes the pods, which are within "restricted" as clipfarm makes them."""
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    path = f"/api/v1/namespaces/{scene.namespace.name}"
    scene.namespace.api.request("PATCH", path, labels, "application/merge-patch+json")
    patch = '[JSONPatch{op: "add", path: "/spec/hostNetwork", value: true}]'
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}
    scene.policy("mutating", "pods", {"mutations": [mutation], "reinvocationPolicy": "Never"}, {})
    return {}


def webhook(scene: Scene) -> dict[str, Any]:
    """A webhook that does not answer."""
    hook = {
        "name": f"{scene.name}.example.com",
        "clientConfig": {"url": "https://127.0.0.1:9/validate"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 2,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace.name}},
    }
    scene.make(f"{POLICIES}/validatingwebhookconfigurations", {"webhooks": [hook]})
    return {}


def no_service_account(scene: Scene) -> dict[str, Any]:
    """The namespace's account is deleted, and its controller cannot make it again."""
    scene.policy("validating", "serviceaccounts", {"validations": [{"expression": "false"}]},
                 {"validationActions": ["Deny"]})  # fmt: skip

    def kept_away() -> bool:
        with suppress(ApiError):
            scene.namespace.create("v1/serviceaccounts", {"metadata": {"name": "probe"}})
            scene.namespace.delete("v1/serviceaccounts", "probe")
            return False
        return True

    wait_until(kept_away, "the policy to be followed")
    scene.namespace.delete("v1/serviceaccounts", "default")
    return {}


CAUSES: list[tuple[Callable[[Scene], dict[str, Any]], str, str]] = [
    # what is provoked, what the API server says, what to do
    (no_priority_class, "no PriorityClass with name", "create the PriorityClass"),
    (no_runtime_class, "not found", "create the RuntimeClass"),
    (quota, "exceeded quota: refused-", "raise the quota"),
    (limit_range, "maximum memory usage per Container is 1Gi, but limit is 2Gi", "change the LimitRange"),
    (policy, "no pods on Thursdays", "ask the owner of that policy"),
    (pod_security, 'violates PodSecurity "restricted:latest"', "label the namespace"),
    (webhook, "failed calling webhook", "restart that webhook, or remove its configuration"),
    (no_service_account, 'serviceaccount "default" not found', "create the service account"),
]


@pytest.fixture(scope="module")
def refused(definition: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Runs]]:
    """For each cause a namespace, and a run in it that cannot have pods; one operator looks after them all."""
    with ExitStack() as stack:
        scenes = {}
        for provoke, *_ in CAUSES:
            namespace = stack.enter_context(temporary_namespace(definition.api, f"refused-{secrets.token_hex(4)}"))
            scene = scenes[provoke] = Scene(namespace)
            stack.callback(scene.remove)
        first, *others = [scene.namespace for scene in scenes.values()]
        options = [part for other in others for part in ("--namespace", other.name)]
        operator = Operator(definition, first, tmp_path_factory.mktemp("operator"), *options).start()
        stack.callback(operator.end)
        specs = {provoke: provoke(scene) for provoke, scene in scenes.items()}
        for provoke, scene in scenes.items():
            wait_until(
                lambda scene=scene, spec=specs[provoke]: refuses(scene, spec), f"{provoke.__name__} to take effect"
            )
            Runs(scene.namespace).create(clips=2, **specs[provoke])
        yield {provoke.__name__: Runs(scene.namespace) for provoke, scene in scenes.items()}


@pytest.mark.parametrize(("provoke", "why", "advice"), CAUSES, ids=[cause.__name__ for cause, *_ in CAUSES])
def test_why_no_pod_is_made_is_said_with_what_to_do(
    refused: dict[str, Runs], definition: ControlPlane, provoke: Any, why: str, advice: str
):
    runs = refused[provoke.__name__]
    wait_until(lambda: runs.condition("Progressing")["reason"] == "PodsRefused", "the run to say so")
    message = runs.condition("Progressing")["message"]
    assert message.startswith("the API server refuses the run's pods: ")
    assert why in message
    assert advice in message
    assert "kubectl describe job" not in message
    assert runs.condition("Ready")["message"] == message
    assert runs.condition("Reconciling")["status"] == "True"
    status = runs.status()
    assert (status["phase"], status["reason"], status["heldClips"]) == ("Waiting", "PodsRefused", 2)
    assert [(held["reason"], held["clips"], held["message"]) for held in status["held"]] == [
        ("PodsRefused", "0-1", message)
    ]
    events = wait_until(lambda: [event for event in runs.namespace.list(EVENTS) if event["reason"] == "PodsRefused"],
                        "the event")  # fmt: skip
    assert [(event["type"], event["message"]) for event in events] == [("Warning", message)]
    said = command(definition, "status", "run", "--namespace", runs.namespace.name).stdout.splitlines()
    assert said[1:] == [f"  waits (PodsRefused): {message}"], "once, with its word"
    assert not runs.pods()


def refuses(scene: Scene, spec: dict[str, Any]) -> bool:
    """Whether a pod like the run's would be refused: quotas and policies take effect some time after they are made."""
    options = spec.get("render", {}).get("pod", {})
    resources = {"limits": {"cpu": "1", "memory": "2Gi"}}
    pod = {
        "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "probe", "image": "none", "resources": resources}], **options},
    }
    try:
        scene.namespace.api.request("POST", f"{scene.namespace.api.path(PODS, scene.namespace.name)}?dryRun=All", pod)
    except ApiError:
        return True
    return False


def test_a_run_goes_on_when_the_cause_is_gone(scene: Scene, runs: Runs, operator: Operator):
    quota(scene)
    runs.create(clips=2)
    wait_until(lambda: runs.condition("Ready")["reason"] == "PodsRefused", "the run to say so")
    scene.remove()
    status = runs.finished(limit=LIMIT)
    assert status["phase"] == "Succeeded"


def test_pods_that_are_refused_beside_others_that_run_are_said_to_be(scene: Scene, runs: Runs, operator: Operator):
    scene.make(QUOTAS, {"spec": {"hard": {"pods": "1"}}}, inside=True)
    runs.create(clips=3, workers=2, seconds="3600")
    wait_until(lambda: "More are refused" in runs.condition("Progressing")["message"], "the run to say so")
    found = runs.condition("Progressing")
    assert (found["status"], found["reason"]) == ("True", "Rendering")
    assert found["message"].startswith("1 pod renders. More are refused: exceeded quota: refused-")


def test_a_job_that_is_refused_is_not_pointed_to(scene: Scene, runs: Runs, operator: Operator):
    scene.make(QUOTAS, {"spec": {"hard": {"count/jobs.batch": "0"}}}, inside=True)
    runs.create(clips=2)
    wait_until(lambda: runs.condition("Progressing")["reason"] == "Error", "the run to say so")
    message = runs.condition("Progressing")["message"]
    assert message.startswith("cannot create the Job run-render: ")
    assert "exceeded quota: refused-" in message
    assert "raise the quota" in message
    assert "kubectl describe job" not in message
    assert not runs.namespace.list(JOBS)


def test_why_no_encoder_is_made_is_said(definition: ControlPlane, driven: Namespace, start_operator):
    start_operator(driven)
    runs, scene = Runs(driven), Scene(driven)
    runs.create(clips=1, encode=ENCODE | {"pod": {"priorityClassName": scene.name}})
    end_pod(driven, runs.running(1)[0]["metadata"]["name"])
    wait_until(lambda: runs.condition("EncoderReady")["reason"] == "Refused", "the run to say so")
    message = runs.condition("EncoderReady")["message"]
    assert message.startswith(f"the API server refuses the encoder's pods: no PriorityClass with name {scene.name}")
    assert "another encode.pod.priorityClassName" in message
    assert f"`kubectl -n {driven.name} rollout restart deployment run-encode` then tries again" in message
    found = wait_until(lambda: (entry := runs.condition("Progressing"))["reason"] == "EncoderRefused" and entry,
                       "nothing to be at work")  # fmt: skip
    assert (found["status"], found["message"]) == ("False", message)
    types = wait_until(
        lambda: [event["type"] for event in driven.list(EVENTS) if event["reason"] == "EncoderRefused"], "the event"
    )
    assert types == ["Warning"]
    scene.make("scheduling.k8s.io/v1/priorityclasses", {"value": 1})
    done = definition.kubectl("--namespace", driven.name, "rollout", "restart", "deployment", "run-encode")
    assert not done.returncode, done.stderr
    try:
        wait_until(lambda: driven.pods("clipfarm.dev/role=encode"), "an encoder")
        wait_until(lambda: runs.condition("EncoderReady")["reason"] != "Refused", "the run to say so")
    finally:
        scene.remove()
    assert driven.get(DEPLOYMENTS, "run-encode")["spec"]["replicas"] == 1

"""Pods that an admission policy of the cluster has given a node affinity: the operator only narrows it."""

import json
from collections.abc import Iterator

import pytest

from clipfarm.cluster.acting.release import release_patch
from clipfarm.cluster.api import pod_views
from clipfarm.decide.admission import Elsewhere
from helpers.cluster import ControlPlane, Namespace, Object
from helpers.exporters import Exporter
from helpers.local import wait_until
from helpers.operators import EVENTS, GATE, PODS, Runs
from helpers.policies import Scene

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ARCH, LINUX = (
    {"key": f"kubernetes.io/{key}", "operator": "In", "values": [value]}
    for key, value in (("arch", "amd64"), ("os", "linux"))
)
TERMS = {"nodeSelectorTerms": [{"matchExpressions": [ARCH]}]}
INDEX = "batch.kubernetes.io/job-completion-index"


@pytest.fixture
def scene(definition: ControlPlane, namespace: Namespace) -> Iterator[Scene]:
    made = Scene(namespace)
    yield made
    made.remove()


def tried(namespace: Namespace, **spec: object) -> Object:
    """A pod as the API server would store it."""
    body = {"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "a", "image": "a"}], **spec}}
    return namespace.api.request("POST", f"{namespace.api.path(PODS, namespace.name)}?dryRun=All", body)


def test_a_run_on_gpus_gets_done_where_a_policy_adds_affinity_and_another_refuses_one_of_its_pods(
    definition: ControlPlane, namespace: Namespace, start_operator, scene: Scene
):
    # In CEL a map has values of one type.
    arch = ", ".join(f"{json.dumps(key)}: dyn({json.dumps(value)})" for key, value in ARCH.items())
    affinity = f'{{"nodeAffinity": {{"{REQUIRED}": {{"nodeSelectorTerms": [{{"matchExpressions": [{{{arch}}}]}}]}}}}}}'
    added = {"expression": f'[JSONPatch{{op: "add", path: "/spec/affinity", value: {affinity}}}]'}
    mutations = [{"patchType": "JSONPatch", "jsonPatch": added}]
    scene.policy("mutating", "pods", {"mutations": mutations, "reinvocationPolicy": "Never"}, {})
    wait_until(lambda: tried(namespace)["spec"].get("affinity"), "the policy to be followed")
    refusing = Scene(namespace)
    first = f"object.metadata.?annotations[?'{INDEX}'].orValue('') == '0'"
    validations = [{"expression": f"!({first}) || has(object.spec.schedulingGates)", "message": "not on Thursdays"}]
    refusing.policy("validating", "pods", {"validations": validations}, {"validationActions": ["Deny"]}, on="UPDATE")
    exporter = Exporter(1000.0, host="node-0")
    try:
        operator = start_operator(namespace, "--vram-endpoint", exporter.url, "--dcgm-interval", 0)
        runs = Runs(namespace)
        here = {"nodeSelector": {"kubernetes.io/hostname": "node-0"}}
        vram = {"checkInterval": "0.5s", "perClip": "1Gi", "allocationTime": "0s"}
        annotated = {"clipfarm.test/run-seconds": "1"}
        runs.create(clips=6, workers=1, render={"device": "gpu", "pod": here | {"annotations": annotated}}, vram=vram)
        [pod] = runs.running(1)
        wait_until(lambda: runs.status().get("rendered") == 5, "all clips but the one that is refused", limit=120)
        assert "not on Thursdays" in runs.condition("Ready")["message"]
        refusing.remove()
        assert runs.finished()["phase"] == "Succeeded"
    finally:
        refusing.remove()
        exporter.close()
    fields = [{"key": "metadata.name", "operator": "In", "values": ["node-0"]}]
    terms = pod["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [ARCH], "matchFields": fields}]
    warned = wait_until(
        lambda: [event for event in namespace.list(EVENTS) if "not on Thursdays" in event["message"]], "the warning"
    )
    assert [(event["reason"], event["count"]) for event in warned] == [("Error", 1)]
    assert operator.log().count("not on Thursdays") == 2, "once when it was found, and once in the event"


AFFINITIES = [
    None,
    {},
    {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [ARCH]}}
    ]}},
    {"podAntiAffinity": {REQUIRED: [{"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}]}},
    {"nodeAffinity": {REQUIRED: TERMS}},
    {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [ARCH, LINUX]}, {}]}}},
    {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["node-2"]}]},
        {"matchExpressions": [LINUX]},
    ]}}},
]  # fmt: skip


@pytest.mark.parametrize(
    "to", ["node-1", Elsewhere((("kubernetes.io/hostname", "node-0"),))], ids=["node", "elsewhere"]
)
@pytest.mark.parametrize("affinity", AFFINITIES)
def test_the_api_server_takes_the_narrowing_of_any_affinity(
    control_plane: ControlPlane, driven: Namespace, affinity: Object | None, to: str | Elsewhere
):
    meta = {"name": "pod", "labels": {"clipfarm.dev/run": "run"}, "annotations": {INDEX: "0"}}
    spec = {"containers": [{"name": "a", "image": "a"}], "schedulingGates": [{"name": "other"}, {"name": GATE}]}
    spec |= {} if affinity is None else {"affinity": affinity}
    pod = pod_views.pod(driven.create(PODS, {"metadata": meta, "spec": spec}))
    assert pod is not None
    left = driven.patch(PODS, "pod", body=release_patch(pod, to, 0.0))["spec"]
    assert left["schedulingGates"] == [{"name": "other"}]
    assert all(left["affinity"].get(kind) for kind, each in (affinity or {}).items() if each)

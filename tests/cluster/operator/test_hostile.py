"""What tenants and others write, and what pods answer, stops no run but their own, and fools none."""

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from helpers.cluster import Namespace, Object, temporary_namespace
from helpers.encoder_pods import Encoder, at, running_encoder
from helpers.exporters import TOTAL_MIB, Exporter
from helpers.kubelet import INDEX, End, end_pod
from helpers.local import wait_until
from helpers.operators import PODS, Operator, Runs

ENCODE = {"encode": {"enabled": True, "weights": {"source": "random"}}}
NODE = "/api/v1/nodes"


@pytest.fixture
def odd_node(driven: Namespace) -> Iterator[str]:
    """A node of a virtual kubelet: it has 10k CPUs, and takes no pods here."""
    name, api = f"virtual-{secrets.token_hex(3)}", driven.api
    taint = {"key": "virtual-kubelet.io/provider", "effect": "NoSchedule"}
    api.request("POST", NODE, {"metadata": {"name": name}, "spec": {"taints": [taint]}})
    status = {"status": {"allocatable": {"cpu": "10k", "memory": "4Ti", "pods": "1k"}}}
    api.request("PATCH", f"{NODE}/{name}/status", status, "application/strategic-merge-patch+json")
    yield name
    api.request("DELETE", f"{NODE}/{name}")


@pytest.fixture
def spy() -> Iterator[Encoder]:
    """Where a pod of nobody's answers."""
    made = Encoder()
    yield made
    made.close()


def pod(name: str, labels: dict[str, str], **annotations: str) -> Object:
    labels = {"app.kubernetes.io/managed-by": "clipfarm"} | labels
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "spec": {"containers": [{"name": "render", "image": "none"}]}}


def metric(operator: Operator, name: str) -> float:
    lines = operator.http("/metrics")[1].splitlines()
    return sum(float(line.removeprefix(f"{name} ")) for line in lines if line.startswith(f"{name} "))


def unreadable(operator: Operator, kind: str) -> float:
    return metric(operator, f'clipfarm_unreadable_objects_total{{kind="{kind}"}}')


def age(operator: Operator) -> float:
    """How old the last reading of the exporter is, seconds."""
    return metric(operator, 'clipfarm_vram_reading_age_seconds{gpu="0",node="node-0"}')


def test_a_run_is_done_beside_odd_objects_and_an_encoder_that_answers_nonsense(
    definition, driven: Namespace, start_operator, odd_node: str, encoder: Encoder, spy: Encoder
):
    odd = driven.create(PODS, pod("odd", {"clipfarm.dev/run": "x", "clipfarm.dev/role": "render"}, **{INDEX: "abc"}))
    operator, runs = start_operator(driven, "--encoder-access", "direct"), Runs(driven)
    encoder.body = b'{"clips": ' + b"[                       " * 10**5
    runs.create(clips=2, workers=1, **ENCODE)
    [first] = runs.running(1)
    end_pod(driven, first["metadata"]["name"])

    real = running_encoder(runs)
    # By its labels this one is the run's encoder, too.
    fake = driven.create(PODS, pod("fake", real["metadata"]["labels"] | {"pod-template-hash": "none"}))
    wait_until(lambda: driven.get(PODS, "fake")["status"]["phase"] == "Running", "the pod of nobody's to run")
    at(runs, fake, spy)
    at(runs, real, encoder)
    message = "the encoder does not report its progress: the answer: not JSON (maximum recursion depth exceeded"
    wait_until(lambda: message in runs.condition("EncoderReady")["message"], "the answer to be refused", limit=30)
    assert unreadable(operator, "pods") == 1
    [line] = [each for each in operator.log().splitlines() if odd["metadata"]["uid"] in each]
    assert f"pods {driven.name}/odd (UID {odd['metadata']['uid']}) cannot be read and is left out" in line
    assert unreadable(operator, "nodes") == 0, "10k is a number"

    end_pod(driven, runs.running(1)[0]["metadata"]["name"])
    encoder.body, encoder.encoded = None, 2
    assert runs.finished()["phase"] == "Succeeded"
    assert operator.running
    assert encoder.asked
    assert not spy.asked, "its ReplicaSet is not one of the run's Deployment"


VRAM = {"high": 0.85, "low": 0.7, "checkInterval": "0.5s", "staleAfter": "5m", "perClip": "1Gi", "allocationTime": "0s"}
ON_NODE = {"nodeSelector": {"kubernetes.io/hostname": "node-0"}}


@pytest.fixture
def tenant(driven: Namespace) -> Iterator[Namespace]:
    """Another tenant's namespace."""
    with temporary_namespace(driven.api, f"driven-{secrets.token_hex(4)}") as made:
        yield made


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter(0.02 * TOTAL_MIB, host="node-0")
    yield made
    made.close()


def claim(used: float, at: float) -> End:
    """The end of a pod that says so much of its GPU is in use."""
    gpu = {"uuid": "GPU-0", "usedMiB": used * TOTAL_MIB, "totalMiB": TOTAL_MIB, "at": at}
    return End(message=json.dumps({"clips": [{"index": 0, "exitCode": 0}], "gpu": gpu}))


def test_what_a_tenants_pod_says_of_a_gpu_holds_no_run_but_those_of_its_namespace(
    definition, driven: Namespace, tenant: Namespace, start_operator, exporter: Exporter
):
    options = ("--namespace", tenant.name, "--vram-endpoint", exporter.url, "--dcgm-interval", 0)
    operator = start_operator(driven, *options)
    spec: dict[str, Any] = {"render": {"device": "cuda", "pod": ON_NODE}, "vram": VRAM}
    victim, liar = Runs(driven), Runs(tenant)
    victim.create(clips=3, workers=1, **spec)
    liar.create(clips=8, workers=2, **spec)
    [running], lying = victim.running(1), liar.running(2)
    for runs, count in ((victim, 1), (liar, 2)):
        wait_until(
            lambda r=runs, n=count: r.status().get("pods", {}).get("working") == n, "the operator to see them run"
        )
        assert [gpu["used"] for gpu in runs.status()["gpus"]] == ["2%"]
    exporter.used = None
    # So that what pods say is the newest that there is: it may be three seconds old.
    wait_until(lambda: age(operator) > 5, "the last reading to be older than what a pod says")
    end_pod(tenant, lying[0]["metadata"]["name"], claim(1.0, time.time()))
    wait_until(lambda: liar.status()["gpus"][0]["used"] == "100%", "the claim to count for its own run", limit=30)
    end_pod(driven, running["metadata"]["name"])
    [second] = wait_until(lambda: victim.attempts() == {0: 1, 1: 1} and victim.running(1), "the neighbour's next clip")
    assert [gpu["used"] for gpu in victim.status()["gpus"]] == ["2%"]
    assert victim.condition("VRAMHeld")["status"] == "False"

    # What is said to be measured in an hour says nothing, even there.
    end_pod(tenant, lying[1]["metadata"]["name"], claim(0.0, time.time() + 3600))
    wait_until(lambda: "at 100%" in liar.condition("VRAMHeld")["message"], "the claim to hold its own run", limit=30)
    end_pod(driven, second["metadata"]["name"])
    wait_until(lambda: victim.attempts() == {0: 1, 1: 1, 2: 1} and victim.running(1), "the neighbour's last clip")
    assert [gpu["used"] for gpu in liar.status()["gpus"]] == ["100%"]

"""A ResourceQuota counts pods that wait at their gates: a run has none there that it does not need."""

import pytest

from helpers.cluster import ControlPlane, Namespace
from helpers.exporters import Exporter
from helpers.kubelet import End, Kubelet, end_pod, failures
from helpers.local import wait_until
from helpers.operators import Runs

ENCODE = {"enabled": True, "weights": {"source": "random"}}


@pytest.fixture
def runs(definition: ControlPlane, driven: Namespace) -> Runs:
    return Runs(driven)


def limit_pods(namespace: Namespace, pods: int) -> None:
    namespace.create("v1/resourcequotas", {"metadata": {"name": "quota"}, "spec": {"hard": {"count/pods": str(pods)}}})
    wait_until(lambda: "used" in namespace.get("v1/resourcequotas", "quota").get("status", {}), "the quota to count")


def test_the_encoder_is_admitted_beside_as_many_clips_as_the_quota_was_made_for(runs: Runs, start_operator):
    # Four renderers, an encoder, and one that has ended.
    limit_pods(runs.namespace, 6)
    start_operator(runs.namespace)
    runs.create(clips=50, workers=4, encode=ENCODE)
    end_pod(runs.namespace, runs.running(4)[0]["metadata"]["name"])
    encoders = "clipfarm.dev/role=encode"
    wait_until(lambda: runs.namespace.pods(encoders), "the encoder's pod")


def test_pods_at_their_gates_go_when_memory_holds_clips_back(runs: Runs, start_operator):
    exporter = Exporter(1000.0, host="node-0")
    try:
        start_operator(runs.namespace, "--vram-endpoint", exporter.url, "--dcgm-interval", 0)
        vram = {"checkInterval": "0.5s", "perClip": "1Gi", "allocationTime": "0s"}
        pod = {"nodeSelector": {"kubernetes.io/hostname": "node-0"}}
        runs.create(clips=150, workers=8, vram=vram, render={"device": "cuda", "pod": pod})
        with Kubelet(runs.namespace, lambda _: End(seconds=0.5)):
            wait_until(lambda: len(runs.gated()) > 8, "pods to wait at their gates", 30)
            exporter.used = (15000.0,)
            wait_until(lambda: not runs.at_work(), "the last clips to end")
            # What was used so fast a moment ago is used no more.
            wait_until(lambda: len(runs.gated()) <= 3, "those at their gates to go", 60)
            assert runs.status()["heldClips"] == 8, "they are held all the same"
            exporter.used = (1000.0,)
            assert runs.finished(limit=120)["rendered"] == 150
    finally:
        exporter.close()
    assert {failures(pod) for pod in runs.pods()} == {0}

"""Pods that are not clipfarm's take room of a node: no clip is sent there that would not fit."""

from helpers.gpu_nodes import TOTAL_MIB, GpuNodes
from helpers.local import wait_until
from helpers.operators import NODES, PODS, Runs

PLACE = {"clipfarm.test/other-pods": "yes"}
SIZE = {"cpu": "4", "memory": "32Gi", "pods": "110"}


def other_pod(name, node, cpu):
    """Return a pod that somebody else runs there, with an init container that asks for more than its container does."""
    container = {"name": "main", "image": "other", "resources": {"requests": {"cpu": "100m"}}}
    first = {"name": "first", "image": "other", "resources": {"requests": {"cpu": cpu}}}
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": node, "initContainers": [first], "containers": [container]},
    }


def test_clips_wait_for_room_that_pods_of_other_namespaces_take(definition, namespace, driven, start_operator):
    node = f"small-{driven.name}"
    metadata = {"name": node, "labels": PLACE | {"kubernetes.io/hostname": node}}
    metadata["annotations"] = {"kwok.x-k8s.io/node": "fake"}
    status = {"allocatable": SIZE, "capacity": SIZE}
    definition.api.request("POST", f"/api/{NODES}", {"metadata": metadata, "status": status})
    gpu, runs = GpuNodes(driven, (node,), 1, TOTAL_MIB / 20, look_seconds=0.5), Runs(driven)
    try:
        namespace.create(PODS, other_pod("other", node, "2500m"))
        start_operator(driven, "--vram-endpoint", gpu.url, everywhere=True)
        vram = {"checkInterval": "0.5s", "perClip": "100Mi"}
        render = {"device": "cuda", "pod": {"nodeSelector": PLACE}, "scaleUp": {"pending": 0}}
        runs.create(clips=4, workers=4, render=render, vram=vram)

        def held():
            entries = {each["reason"]: each for each in runs.status().get("held", ())}
            return entries.get("NodesFull")

        # Of 4 CPUs 2.5 are taken: one clip of one CPU fits.
        found = wait_until(held, "the run to say that the node is full")
        assert f"{node} has room for 1 clip of this run: other pods request 2.5 of 4 CPUs" in found["message"]
        runs.running(1)
        assert len(runs.at_work()) == 1, "none was sent there in vain"
        namespace.delete(PODS, "other")
        runs.running(4)
    finally:
        gpu.close()
        definition.api.request("DELETE", f"/api/{NODES}/{node}")

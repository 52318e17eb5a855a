"""What a run says that cannot start: in the words of a real scheduler, kubelet and container runtime."""

from pathlib import Path
from typing import Any

import pytest

from helpers.cluster import Namespace
from helpers.local import wait_until
from helpers.node import Node, Place, local_volume, run

pytestmark = pytest.mark.timeout(300)
LIMIT = 120.0
CLASSES = "node.k8s.io/v1/runtimeclasses"
VOLUMES = "v1/persistentvolumes"
HANDLER = "test-no-such-handler"
FOLDERLESS = "test-no-folder"

SCENES: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "no-image": (
        {"render": {"image": "registry.invalid/renderer:1"}},
        "ImagePullBackOff",
        ("registry.invalid/renderer:1", "check the image's name, its registry, and imagePullSecrets"),
    ),
    "no-image-name": (
        {"render": {"image": "Not A Name"}},
        "InvalidImageName",
        ("Not A Name", "correct the image's name"),
    ),
    "no-folder": (
        {"storage": {"claimName": "no-folder"}},
        "FailedMount",
        ("does not exist", "look at the volume claim with `kubectl describe pvc`"),
    ),
    "no-claim": (
        {"storage": {"claimName": "no-claim"}},
        "StorageMissing",
        ("there is no volume claim no-claim",),
    ),
    "no-handler": (
        {"render": {"pod": {"runtimeClassName": HANDLER}}},
        "FailedCreatePodSandBox",
        (HANDLER, "check runtimeClassName, and the container runtime of the node"),
    ),
    "no-class": (
        {"render": {"pod": {"runtimeClassName": "test-no-such-class"}}},
        "PodsRefused",
        ("test-no-such-class", "create the RuntimeClass"),
    ),
    "no-node": (
        {"render": {"pod": {"nodeSelector": {"disk": "fast"}}}},
        "NoNode",
        ("no node fits the run's node selector", "compare the run's nodeSelector with the nodes' labels",),
    ),
    "no-program": (
        {"render": {"command": ["/no/such/program"]}},
        "Stuck",
        ('found "/no/such/program", expected a program that can be started',),
    ),
}  # fmt: skip
"""By run: what is asked for, the word in the column REASON, and what its conditions say, with what to do."""


def test_what_is_missing_is_named_in_the_nodes_own_words_with_what_to_do(place: Place, node: Node, tmp_path: Path):
    missing = tmp_path / "missing"
    node.api.request("POST", node.api.path(CLASSES), {"metadata": {"name": HANDLER}, "handler": HANDLER})
    _claim_without_a_folder(node, place.namespace, missing)
    for name, (spec, _, _) in SCENES.items():
        own = "command" not in spec.get("render", {})
        place.create(run(name, 1, "pass" if own else "", **spec))
    try:
        for name, (_, word, texts) in SCENES.items():
            wait_until(lambda name=name: _reason(place, name) == SCENES[name][1], f"{name} to say {word}", LIMIT)
            messages = " ".join(each["message"] for each in place.runs.status(name)["conditions"])
            assert [text for text in texts if text not in messages] == [], messages
    finally:
        print(place.kubectl("get", "benchmarkruns").stdout)
        missing.mkdir()  # the kubelet looks for it for two minutes before it ends the pod
        place.kubectl("delete", "benchmarkruns", "--all")
        wait_until(lambda: not place.pods(), "the runs' pods to end", LIMIT)
        node.api.request("DELETE", node.api.path(CLASSES, None, HANDLER))
        node.api.request("DELETE", node.api.path(VOLUMES, None, FOLDERLESS))


def _reason(place: Place, name: str) -> str:
    return str(place.runs.status(name).get("reason", ""))


def _claim_without_a_folder(node: Node, namespace: Namespace, folder: Path) -> None:
    """Make a claim that is bound, and whose volume no kubelet can mount."""
    node.api.request("POST", node.api.path(VOLUMES), local_volume(FOLDERLESS, folder))
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": FOLDERLESS}
    namespace.create("v1/persistentvolumeclaims", {"metadata": {"name": "no-folder"}, "spec": spec})

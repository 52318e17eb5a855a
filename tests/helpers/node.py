"""This machine as a node of a real control plane, with clipfarm installed on it as README says."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.cluster import ApiError, ControlPlane, Namespace, Object
from helpers.documents import ANYWHERE, NODE, commands, read
from helpers.images import Image
from helpers.local import wait_until
from helpers.operators import Runs
from helpers.runs import document

MACHINE = "this-machine"
RELEASE = SYSTEM = "clipfarm"
"""Release and namespace, as README calls them."""
OPERATOR, RENDER, ENCODE, EXPORT = Image("operator"), Image("render"), Image("encode"), Image("export")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
CLAIM = "clips"
USER = 65532
PAUSE = "localhost/clipfarm-pause:1"

SMALL = {"clipfarm.test/requests": "small"}
# Renderers and encoder ask for a CPU each, and this machine may have no more than two. In namespaces with this label
# they ask for less, so that tests of other things need not wait for room.
SMALL_REQUESTS: list[tuple[str, Object]] = [
    (
        "mutatingadmissionpolicies",
        {
            "metadata": {"name": "small-requests"},
            "spec": {
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ],
                    "namespaceSelector": {"matchLabels": SMALL},
                    "objectSelector": {"matchExpressions": [{"key": "clipfarm.dev/role", "operator": "Exists"}]},
                },
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "mutations": [
                    {
                        "patchType": "JSONPatch",
                        "jsonPatch": {
                            "expression": '[JSONPatch{op: "replace",'
                            ' path: "/spec/containers/0/resources/requests/cpu", value: "50m"}]'
                        },
                    }
                ],
            },
        },
    ),
    (
        "mutatingadmissionpolicybindings",
        {"metadata": {"name": "small-requests"}, "spec": {"policyName": "small-requests"}},
    ),
]


README = [command for block in read("README.md", NODE, ANYWHERE) for command, _ in commands(block)]
"""What README says to do for a cluster, in the order of its lines."""
INSTALLATION = next(number for number, command in enumerate(README) if command.startswith("helm install"))


class Node(ControlPlane):
    """A control plane whose one node is this machine."""

    def restrict(self) -> None:
        """Have Kubernetes refuse pods in README's namespaces that are not as safe as the chart says."""
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": SYSTEM, "labels": RESTRICTED}})
        Namespace(self.api, "default").label(RESTRICTED)

    def settle(self) -> None:
        """Wait until the operator works, and add what only tests need."""
        for resource, manifest in SMALL_REQUESTS:
            self.api.request("POST", self.api.path(f"admissionregistration.k8s.io/v1/{resource}"), manifest)
        waits = ("rollout", "status", f"deployment/{RELEASE}", "--timeout=2m")
        done = self.kubectl("--namespace", SYSTEM, *waits)
        assert not done.returncode, done.stderr + self.kubectl("--namespace", SYSTEM, "describe", "pods").stdout

    @contextmanager
    def two_cpus(self) -> Iterator[None]:
        """Leave two of the node's CPUs to others: a pod that does nothing asks for all the rest."""
        [node] = self.api.request("GET", "/api/v1/nodes")["items"]
        rest = int(node["status"]["allocatable"]["cpu"]) - 2
        assert rest >= 0, f"{node['status']['allocatable']['cpu']} CPUs, expected two at least"
        filler = {
            "metadata": {"name": "filler"},
            "spec": {
                "containers": [{"name": "main", "image": PAUSE, "resources": {"requests": {"cpu": str(rest)}}}],
                "terminationGracePeriodSeconds": 0,
            },
        }
        namespace = Namespace(self.api, "kube-system")
        namespace.create("v1/pods", filler)
        wait_until(lambda: namespace.get("v1/pods", "filler")["status"]["phase"] == "Running", "the filler to run")
        try:
            yield
        finally:
            namespace.delete("v1/pods", "filler")

    @contextmanager
    def namespace(self, name: str, volume: Path, *, small: bool = True) -> Iterator["Place"]:
        """A namespace with a claim on a folder of this machine; ``small``: pods of runs ask for little CPU."""
        labels = RESTRICTED | (SMALL if small else {})
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        namespace = Namespace(self.api, name)
        self.api.request("POST", "/api/v1/persistentvolumes", local_volume(name, volume))
        claim = {
            "metadata": {"name": CLAIM},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeName": name,
            },
        }
        namespace.create("v1/persistentvolumeclaims", claim)
        place = Place(self, namespace, volume)
        wait_until(place.has_account, "the namespace's default service account")
        try:
            yield place
        finally:
            if Path(self.kubeconfig).exists():  # no test has ended the node
                self._remove(place)

    def _remove(self, place: "Place") -> None:
        name = place.namespace.name
        self.api.request("DELETE", f"/api/v1/namespaces/{name}")
        # Kubernetes itself begins with that five seconds later.
        self.api.request("DELETE", self.api.path("v1/pods", name))
        wait_until(lambda: not place.pods(), "the namespace's pods to end")
        self.api.request("DELETE", f"/api/v1/persistentvolumes/{name}")


@dataclass(frozen=True)
class Place:
    """A namespace, and the folder that its claim is."""

    node: Node
    namespace: Namespace
    volume: Path

    @property
    def runs(self) -> Runs:
        return Runs(self.namespace)

    def create(self, manifest: Object) -> str:
        """Create a run with ``kubectl apply``, and return its name."""
        done = self.kubectl("apply", "-f", "-", text=json.dumps(manifest))
        assert not done.returncode, done.stderr
        return str(manifest["metadata"]["name"])

    def kubectl(self, *arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
        return self.node.kubectl("--namespace", self.namespace.name, *arguments, text=text)

    def pods(self, role: str = "") -> list[Object]:
        return self.namespace.pods(f"clipfarm.dev/role={role}" if role else "")

    def running(self, role: str) -> list[Object]:
        """Pods whose container is at work, and which nobody has deleted."""
        return [
            pod
            for pod in self.pods(role)
            if "deletionTimestamp" not in pod["metadata"]
            and any("running" in each["state"] for each in pod["status"].get("containerStatuses", ()))
        ]

    def once(self, name: str, image: Image, command: list[str], user: int = USER) -> tuple[Object, str]:
        """Run a pod of a user's own with the claim, and return its last status and what it printed."""
        secure = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        container = {
            "name": "main",
            "image": image.reference,
            "command": command,
            "securityContext": secure,
            "volumeMounts": [{"name": CLAIM, "mountPath": "/clips"}],
        }
        spec = {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user,
                "runAsGroup": user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": CLAIM, "persistentVolumeClaim": {"claimName": CLAIM}}],
        }
        self.namespace.create("v1/pods", {"metadata": {"name": name}, "spec": spec})

        def ended() -> Object | None:
            status = self.namespace.get("v1/pods", name)["status"]
            return status if status["phase"] in ("Succeeded", "Failed") else None

        status = wait_until(ended, f"the pod {name} to end")
        return status, self.kubectl("logs", name).stdout.strip()

    def has_account(self) -> bool:
        try:
            return bool(self.namespace.get("v1/serviceaccounts", "default"))
        except ApiError as error:
            if error.status != 404:
                raise
            return False

    def explain(self) -> str:
        """What a person would look at first when a run does not get on."""
        return self.kubectl("describe", "benchmarkruns,pods").stdout[-6000:]


def run(name: str, clips: int, program: str = "", **spec: Any) -> Object:
    """Return a small run; ``program`` is the source of a renderer of one's own, in Python."""
    render = spec.pop("render", {}) | ({"command": ["python", "-c", program]} if program else {})
    made = document(
        clips,
        **{
            "workers": 2,
            "storage": {"claimName": CLAIM},
            "render": {"sharedMemory": "64Mi", "memory": "1Gi", "clipsPerPod": 1} | render,
            "encode": {"enabled": False},
        }
        | spec,
    )
    made["metadata"]["name"] = name
    made["spec"]["experiment"] |= {"frames": 8, "resolution": 64, "samplesPerPixel": 4}
    return made


def local_volume(name: str, path: Path) -> Object:
    """A volume in a folder of this machine, whose files the kubelet gives to the pods' fsGroup."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [MACHINE]}
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "local",
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def hashes(folder: Path) -> dict[str, str]:
    """Hashes of every file of every clip in a folder, features among them, by ``clip/path``."""
    files = [file for clip in sorted(folder.glob("clip_*")) for file in clip.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

"""What all objects of a run have in common."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipfarm.pod_options import PodOptions
from clipfarm.run import API_VERSION, KIND, Run
from clipfarm.source import VOLUME
from clipfarm.units import cpus_text, quantity_text
from clipfarm_contract.objects import MANAGED_BY, QUEUE_LABEL, ROLE_LABEL, RUN_LABEL

Manifest = dict[str, Any]

CLIPS = VOLUME
"""Where the volume lies in every container."""
CLIPS_MOUNT = ({"name": "clips", "mountPath": CLIPS},)
USER = 65532
"""The user that the images run as: no other user could delete root's files on a shared volume."""


@dataclass(frozen=True)
class Images:
    """The operator's own images."""

    render: str = "clipfarm-render"
    encode: str = "clipfarm-encode"
    operator: str = "clipfarm-operator"
    export: str = "clipfarm-export"
    pull_policy: str = "IfNotPresent"


@dataclass(frozen=True, slots=True)
class Owner:
    """The run as the API server knows it: whatever is made for it goes with it."""

    namespace: str
    uid: str
    labels: dict[str, str]
    only: str = ""
    """Clips that are left to make, as the annotation has them; empty: all."""
    attempt: str = ""
    encode_attempt: str = ""

    @property
    def queue(self) -> str:
        """The queue that decides when the run's Job may continue; empty: none."""
        return self.labels.get(QUEUE_LABEL, "")


def labels(run: Run, role: str) -> dict[str, str]:
    """Return the labels by which the operator finds what belongs to a run."""
    return {
        "app.kubernetes.io/name": "clipfarm",
        "app.kubernetes.io/component": role,
        MANAGED_BY: "clipfarm",
        RUN_LABEL: run.name,
        ROLE_LABEL: role,
    }


def metadata(run: Run, owner: Owner, name: str, marks: Mapping[str, str]) -> Manifest:
    """Return the metadata of an object that goes when its run goes; ``marks`` are its labels."""
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": dict(marks),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": run.name,
                "uid": owner.uid,
                "controller": True,
                # The operator may be gone when the run is deleted: nothing waits for anything.
                "blockOwnerDeletion": False,
            }
        ],
    }


def shortened(name: str, room: int) -> str:
    """Return a name that fits: as it is, or its beginning with a hash of all of it, so that no two become the same."""
    if len(name) <= room:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: room - len(digest) - 1].rstrip('-')}-{digest}"


def claim_name(run: Run) -> str:
    """Return the name of the run's volume claim."""
    storage = run.spec.storage
    return storage.claim_name if storage and storage.claim_name else f"{run.name}-clips"


def pod_spec(
    run: Run,
    options: PodOptions,
    container: Manifest,
    needs: Manifest,
    extra_volumes: list[Manifest],
    mounts: Sequence[Manifest] = CLIPS_MOUNT,
) -> Manifest:
    """Return the part of a pod that all pods of a run have in common.

    Kept inside the limits of the pod security standard "restricted".

    Args:
        run: whose volume it has.
        options: where it may go, and the like.
        container: its one container: what it is called and runs.
        needs: the container's requests and limits.
        extra_volumes: volumes beside the run's and that of temporary files, each with its ``mountPath``.
        mounts: where the container has the run's volume.
    """
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            # Changing the group of every file of a run of a million files at each start of a pod would take minutes.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            container
            | {
                "resources": needs,
                # A program that refuses its command line, or is not there at all, says so in its last line.
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    *(dict(mount) for mount in mounts),
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
                    *({"name": volume["name"], "mountPath": volume.pop("mountPath")} for volume in extra_volumes),
                ],
            }
        ],
        "volumes": [
            {"name": "clips", "persistentVolumeClaim": {"claimName": claim_name(run)}},
            {"name": "tmp", "emptyDir": {}},
            *extra_volumes,
        ],
    }
    chosen = {
        "nodeSelector": options.node_selector,
        "tolerations": [toleration.model_dump(by_alias=True, exclude_none=True) for toleration in options.tolerations],
        "runtimeClassName": options.runtime_class_name,
        "priorityClassName": options.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in options.image_pull_secrets],
    }
    return spec | {name: value for name, value in chosen.items() if value}


def literal(text: str) -> str:
    """Return a text that the kubelet hands on as it is: it would fill in ``$(NAME)``."""
    return text.replace("$", "$$")


def nvidia(capabilities: str, options: PodOptions) -> list[Manifest]:
    """Return the variables by which NVIDIA's container runtime knows what to show a container.

    Without the first it shows no GPU; a device plugin sets it where pods ask for one.
    """
    shown = [{"name": "NVIDIA_DRIVER_CAPABILITIES", "value": capabilities}]
    if options.gpu_request is None:
        shown.insert(0, {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"})
    return shown


def resources(cpus: float, memory: int, options: PodOptions, *, cpu_limit: bool = True) -> Manifest:
    """Return requests and limits: memory alike in both, because what is beyond a request may be taken away."""
    both = {"memory": quantity_text(memory), **options.resources}
    cpu = {"cpu": cpus_text(cpus)}
    return {"requests": cpu | both, "limits": (cpu if cpu_limit else {}) | both}

"""Labels and annotations of the objects that a run becomes in a cluster: what they are called, and what they hold.

Operators of different versions read each other's. Where a text has an inner form, its module is named.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm_contract.fields import ContractError, Fields, load

MANAGED_BY = "app.kubernetes.io/managed-by"
RUN_LABEL = "clipfarm.dev/run"
UID_LABEL = "clipfarm.dev/run-uid"
"""On encoders' pods: which run of that name they are of."""
ROLE_LABEL = "clipfarm.dev/role"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
NODE_LABEL = "clipfarm.dev/node-id"
"""On a node: a value that no other has. Karpenter gives one to each node of a pool that asks for the label, and refuses
pods that name hosts."""
FILES_LABEL = "clipfarm.dev/run-files"
"""On a run's ConfigMap: what tells those of one attempt from those of another."""
GATE = "clipfarm.dev/admission"
"""The scheduling gate that every renderer's pod is created with."""
ONLY_ANNOTATION = "clipfarm.dev/only-clips"
"""On a run: the clips that are left to make, if its Job is to make no others, as the operator's ``packed`` writes
them; ``clipfarm retry`` sets it."""
ATTEMPT_ANNOTATION = "clipfarm.dev/attempt"
"""On a run and its Job: which attempt it is. A Job of another attempt is removed, and created again."""
ENCODE_ATTEMPT_ANNOTATION = "clipfarm.dev/encode-attempt"
"""On a run: which attempt at encoding it is. A new one forgets which clips could not be encoded. On encoders' pods: the
attempt that they were started for."""
CLIPS_PER_POD_ANNOTATION = "clipfarm.dev/clips-per-pod"
"""On a Job: how many clips each of its pods makes; the last may make fewer. An operator reads it instead of working it
out anew, because another version may come to another number, and would then map indexes to the wrong clips."""
RESULTS_ANNOTATION = "clipfarm.dev/results"
"""On a Job: what its pods that were deleted have left, as the operator's ``results`` writes it."""
TEMPLATE_ANNOTATION = "clipfarm.dev/template"
"""On the encoders' Deployment: a hash of its pod template as it was meant, before the API server filled in defaults."""
ASKED_ANNOTATION = "clipfarm.dev/encode-spec"
"""On the encoders' Deployment: a hash of what the run asked for. While it is the same the pod template stays as it is,
whatever an operator of another version, or with another image, would make of it."""
INSTALLATION_ANNOTATION = "clipfarm.dev/installation"
"""On an operator's Lease: which installation holds it."""
# On a renderer's pod that was released; Placement says what they hold.
RELEASED_ANNOTATION = "clipfarm.dev/released-at"
NODE_ANNOTATION = "clipfarm.dev/node"
GPU_ANNOTATION = "clipfarm.dev/gpu"
GPU_UUID_ANNOTATION = "clipfarm.dev/gpu-uuid"
NEW_NODE_ANNOTATION = "clipfarm.dev/new-node"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of a node, or an instance of one (MIG), as an annotation names it."""

    node: str
    index: int
    uuid: str = ""
    instance: str = ""
    """Number of the GPU instance; empty: the GPU as a whole."""

    @classmethod
    def parse(cls, text: str) -> "Gpu":
        """Read the annotation.

        Raises:
            ContractError: it is not one of ours.
        """
        fields = Fields(load(text, "gpu"), "gpu")  # a later version may have more of them
        uuid, instance = split_uuid(fields.take("uuid", str, ""))
        return cls(fields.take("node", str), fields.take("index", int), uuid, fields.take("instance", str, instance))

    def dump(self) -> str:
        """Return the annotation."""
        told = {"node": self.node, "index": self.index, "uuid": self.uuid}
        return json.dumps(told | ({"instance": self.instance} if self.instance else {}))


@dataclass(frozen=True, slots=True)
class Placement:
    """When a renderer's pod was released, and where it may go: what the operator annotates as it takes the gate off."""

    released_at: str | None
    """As Kubernetes writes times; the API server keeps no such time. None: not released."""
    node: str = ""
    """The node that it was narrowed to; empty: the scheduler chooses."""
    gpu: Gpu | None = None
    """The GPU of that node that it was released for."""
    new_node: bool = False
    """Released so that an autoscaler adds a node: it may go to no node that was there."""

    @classmethod
    def parse(cls, annotations: Mapping[str, str]) -> "Placement":
        """Read a pod's annotations; a GPU's that is not one of ours is as if it were not there."""
        return cls(
            released_at=annotations.get(RELEASED_ANNOTATION),
            node=annotations.get(NODE_ANNOTATION, ""),
            gpu=_gpu(annotations.get(GPU_ANNOTATION)),
            new_node=NEW_NODE_ANNOTATION in annotations,
        )

    def dump(self) -> dict[str, str]:
        """Return the annotations."""
        made = {} if self.released_at is None else {RELEASED_ANNOTATION: self.released_at}
        if self.node:
            made[NODE_ANNOTATION] = self.node
        if self.gpu:
            # A pod that shares GPUs without asking for one gets the UUID as a variable. Instances are never shared so.
            uuid = "" if self.gpu.instance else self.gpu.uuid
            made |= {GPU_ANNOTATION: self.gpu.dump(), GPU_UUID_ANNOTATION: uuid}
        return made | ({NEW_NODE_ANNOTATION: "true"} if self.new_node else {})


def _gpu(text: str | None) -> Gpu | None:
    try:
        return Gpu.parse(text) if text else None
    except ContractError:
        return None


def split_uuid(text: str) -> tuple[str, str]:
    """Return UUID and instance of what a status, or an annotation of an earlier version, has as one text."""
    uuid, _, instance = text.partition("/")
    return uuid, instance

"""Where and how pods run: what a run passes on to Kubernetes as it is."""

from typing import Literal

from pydantic import Field

from clipfarm.model import MOST_ENTRIES, Model, Text, Texts

VENDOR = "nvidia.com/"


class Toleration(Model):
    """A taint of a node that does not keep the pods away."""

    key: Text | None = None
    """Key of the taint; default: every taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Equal: the value must be equal; Exists: any value."""
    value: Text | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; default: every effect."""
    toleration_seconds: int | None = None
    """Seconds that a pod stays after a NoExecute taint; default: forever."""


class PodOptions(Model):
    """Passed on to the pods as Kubernetes knows them."""

    node_selector: Texts = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = Field(default=(), max_length=MOST_ENTRIES, strict=False)
    """Taints that the pods tolerate."""
    resources: Texts = Field(default_factory=dict)
    """Further resources, such as nvidia.com/gpu: 1; request and limit are equal."""
    runtime_class_name: Text | None = None
    """Runtime class, such as nvidia, for GPUs that pods share without requesting one."""
    priority_class_name: Text | None = None
    """Priority class."""
    image_pull_secrets: tuple[Text, ...] = Field(default=(), max_length=MOST_ENTRIES, strict=False)
    """Names of secrets for the image registry."""
    labels: Texts = Field(default_factory=dict)
    """Additional labels."""
    annotations: Texts = Field(default_factory=dict)
    """Additional annotations."""

    @property
    def gpu_request(self) -> tuple[str, int] | None:
        """The kind of GPU that pods ask for, and how many; None if they share what a runtime class shows them."""
        for name, count in self.resources.items():
            if name.startswith(VENDOR) and count.isdecimal() and int(count) > 0:
                return name, int(count)
        return None

    @property
    def without_gpu(self) -> "PodOptions":
        """The same for a pod that goes to the same nodes, and needs none of their devices."""
        return self.model_copy(update={"resources": {}, "runtime_class_name": None})

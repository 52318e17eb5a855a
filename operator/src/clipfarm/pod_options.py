"""Where and how pods run: what a run passes on to Kubernetes as it is."""

from typing import Literal

from pydantic import Field

from clipfarm.model import MOST_ENTRIES, Model, Text, Texts

VENDOR = "nvidia.com/"


class Toleration(Model):
    """A taint of a node that does not keep the pods away."""

    key: Text | None = None
    """The taint's key; every taint where it is left out."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Whether the value counts."""
    value: Text | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Which effect of the taint; all where it is left out."""
    toleration_seconds: int | None = None
    """How long a pod stays after a NoExecute taint; for ever where it is left out."""


class PodOptions(Model):
    """Passed on to the pods as Kubernetes knows them."""

    node_selector: Texts = Field(default_factory=dict)
    """Labels that a node has to have."""
    tolerations: tuple[Toleration, ...] = Field(default=(), max_length=MOST_ENTRIES, strict=False)
    """Taints that do not keep the pods away."""
    resources: Texts = Field(default_factory=dict)
    """More of a node than CPU and memory, as nvidia.com/gpu: 1; requested and limited alike."""
    runtime_class_name: Text | None = None
    """Runtime class, as nvidia, for GPUs that pods share without asking for one."""
    priority_class_name: Text | None = None
    """Priority class."""
    image_pull_secrets: tuple[Text, ...] = Field(default=(), max_length=MOST_ENTRIES, strict=False)
    """Names of secrets that open the registry."""
    labels: Texts = Field(default_factory=dict)
    """Labels on top of clipfarm's."""
    annotations: Texts = Field(default_factory=dict)
    """Annotations on top of clipfarm's."""


def requested(options: PodOptions) -> tuple[str, int] | None:
    """Return the kind of GPU that pods ask for, and how many; None where they share what a runtime class shows them."""
    for name, count in options.resources.items():
        if name.startswith(VENDOR) and count.isdecimal() and int(count) > 0:
            return name, int(count)
    return None

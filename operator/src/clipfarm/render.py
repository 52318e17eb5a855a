"""How the clips of a run are rendered: ``render`` of a run file."""

from typing import Annotated, Literal

from pydantic import Field

from clipfarm.model import MOST_ENTRIES, Argument, FileName, Model, PositiveBytes, PositiveSeconds
from clipfarm.pod_options import PodOptions
from clipfarm_contract.environment import MOST_THREADS
from clipfarm_contract.experiment import Background


class ScaleUp(Model):
    """How an autoscaler learns that nodes are missing, in a cluster."""

    pending: int = Field(default=2, ge=0, le=100)
    """Pods that may wait for a new node without a gate, behind which no autoscaler sees them. 0: none."""


class Render(Model):
    """How clips are rendered."""

    device: Literal["cpu", "gpu", "cuda", "optix"] = "cpu"
    """Device that Cycles computes on; ``gpu``: OptiX if the driver has it, else CUDA."""
    threads: int = Field(default=1, ge=1, le=MOST_THREADS)
    """CPU threads per clip: the pod's CPU limit, OMP_NUM_THREADS and similar variables, BLENDER_CPU_THREADS."""
    clips_per_pod: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Clips that one pod makes one after the other, in a cluster; default: as many as take about three minutes, if each
    worker makes at least 4 pods; 1 with your own renderer."""
    timeout: PositiveSeconds = 600.0
    """Time limit of a clip; a clip that takes longer fails."""
    memory: PositiveBytes = 2 * 2**30
    """Memory limit of a pod, in a cluster; the kernel kills a renderer that uses more, and its clip fails."""
    shared_memory: PositiveBytes = 8 * 2**30
    """Maximum size of /dev/shm in a pod; its content counts as memory."""
    image: FileName | None = None
    """Container image of your own renderer, built from clipfarm's; default: the renderer's image in the operator's
    settings."""
    pod: PodOptions = PodOptions()
    """Placement and other options of the pods, in a cluster."""
    require_identical_nodes: bool = False
    """Whether all clips are made on nodes with one kind of processor, and of GPU, by the labels of the nodes, in a
    cluster; for those who need the same bytes from each pod. On one machine it is so anyway."""
    keep_pods: Literal["failed", "all"] = "failed"
    """Pods to keep after they have ended, in a cluster. failed: the last 100 that failed, with their logs."""
    scale_up: ScaleUp = ScaleUp()
    """How an autoscaler learns that nodes are missing, in a cluster."""
    command: tuple[Argument, ...] = Field(default=(), max_length=MOST_ENTRIES, strict=False)
    """Command of your own renderer; empty: the built-in one."""
    background: Background = "cached"
    """cached: the still background is rendered once for each look (camera, light, floor), which takes as long as 16
    frames; full: again in each frame."""

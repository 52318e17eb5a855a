"""Who shares GPUs with the run that a snapshot is about: runs whose clips another process starts, and encoders."""

from dataclasses import dataclass

from clipfarm.world.gpus import ClipMemory, GpuId
from clipfarm.world.nodes import Node
from clipfarm.world.pods import Departed, Running


@dataclass(frozen=True, slots=True)
class RunStanding:
    """How a run stands beside others on the same GPUs, after its last turn."""

    share: float
    """Its part of what there is, by its priority."""
    waits: bool
    """Whether it has clips that no place takes."""
    wants: GpuId | None
    """The GPU whose memory, as it comes free, it waits for; None: none."""
    at: float
    """When that was so."""


@dataclass(frozen=True, slots=True)
class OtherRun:
    """A run of another process, as that process reports it."""

    name: str
    clip: ClipMemory | None
    """GPU memory that its clips take; None: unknown."""
    allocation_time: float
    """Seconds after its start within which a clip of it allocates."""
    running: tuple[Running, ...] = ()
    departed: tuple[Departed, ...] = ()
    standing: RunStanding | None = None
    """How it stands beside others; None: it asks for nothing."""
    nodes: tuple[Node, ...] = ()
    """Where its pods may be; empty: on those of the run that knows of it."""
    encodes: bool = False
    """Whether its pods are encoders, and make no clips."""
    encoders: "OtherRun | None" = None
    """Its encoders, if it is of another process and they use GPUs."""

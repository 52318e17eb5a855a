"""Runs that share GPUs with the one that a snapshot is about, and whose clips another process starts."""

from dataclasses import dataclass

from clipfarm.world.gpus import ClipMemory
from clipfarm.world.pods import Departed, Running


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

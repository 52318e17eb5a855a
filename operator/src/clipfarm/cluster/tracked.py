"""What the operator knows of one run between two looks, beside what the API server tells."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm.manifests.common import Owner
from clipfarm.manifests.job import Blocks
from clipfarm.run import Run
from clipfarm.world import Gate, GpuId

WINDOW = 64
"""Completions that the moving window of the ETA holds."""


@dataclass
class Tracked:
    """One run. All of it can be lost: a restart finds it again in the run's status and its pods."""

    run: Run
    owner: Owner
    generation: int
    status: dict[str, Any]
    """As the API server has it."""
    blocks: Blocks = field(init=False)
    released: dict[str, float] = field(default_factory=dict)
    """Pods whose gate was taken off, by UID, until a watch shows it; when that was."""
    started: dict[str, float] = field(default_factory=dict)
    """When a pod that runs was first seen without its gate, by UID."""
    failed_at: dict[str, float] = field(default_factory=dict)
    """When a failed pod ended, by UID, on this process's own clock."""
    gates: Mapping[GpuId, Gate] = field(default_factory=dict)
    completions: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    encode_completions: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    rendered: int = -1
    """Clips at the last look; -1 before the first."""
    encoded: int = 0
    encode_failed: dict[int, str] = field(default_factory=dict)
    status_written_at: float = float("-inf")
    problem: str = ""
    """What kept the operator from doing what it planned, in one line."""

    def __post_init__(self) -> None:
        self.blocks = Blocks.of(self.run)
        self.encoded = self.status.get("encoded", 0)

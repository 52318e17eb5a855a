"""What the local executor knows between two looks: its own processes, and what became of clips."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from clipfarm.local.job import Job
from clipfarm.local.processes import Encoder, Worker
from clipfarm.local.scan import Scan
from clipfarm.vram.nvml import Look, NvmlSource
from clipfarm.world import Ended, Gate, GpuId, Reading

WINDOW = 32
"""Completions that the moving window of the ETA holds."""
WAITING_SHOWN = 1024
"""Waiting clips that a snapshot names; more could not start in one tick anyway."""


@dataclass
class State:
    """Filled by ``observe``, changed by ``apply``; the folder and the processes are the truth that it follows."""

    job: Job
    node: str
    cpus: int
    vram_source: NvmlSource | None
    """None where the run's clips use no GPU."""
    complete: set[int]
    waiting: deque[int]
    """Clips that were never tried, in order."""
    unencoded: set[int]
    """Complete clips that have no features yet."""
    workers: dict[int, Worker] = field(default_factory=dict)
    ended: dict[int, Ended] = field(default_factory=dict)
    completions: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    encode_completions: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    encoder: Encoder | None = None
    encoder_exits: int = 0
    """How often an encoder ended without having finished, since it last encoded a clip."""
    encoder_problem: str = ""
    encode_failed: dict[int, str] = field(default_factory=dict)
    look: Look = field(default_factory=lambda: Look((), ()))
    readings: dict[GpuId, Reading] = field(default_factory=dict)
    """The newest of each GPU, whatever its age."""
    looked_at: float | None = None
    gates: Mapping[GpuId, Gate] = field(default_factory=dict)

    @classmethod
    def start(cls, job: Job, found: Scan, node: str, cpus: int) -> "State":
        """Return the state before the first tick."""
        return cls(
            job=job,
            node=node,
            cpus=cpus,
            vram_source=NvmlSource(node) if job.run.spec.render.device != "cpu" else None,
            complete=set(found.complete),
            waiting=deque(found.missing),
            unencoded=set(found.complete - found.encoded),
        )

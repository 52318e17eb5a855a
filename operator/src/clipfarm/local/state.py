"""What the local executor knows between two ticks: its own processes, and what became of clips."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clipfarm.decide.vram.learned import LearnedMemory
from clipfarm.feature_cost import LARGEST_MODEL, cost
from clipfarm.local.claims import Claims
from clipfarm.local.encoders import Encoder
from clipfarm.local.job import Job
from clipfarm.local.processes import Worker
from clipfarm.local.scan import Scan
from clipfarm.local.serving import Server
from clipfarm.run import Run
from clipfarm.vram.nvml import Look, NvmlSource
from clipfarm.world import Departed, EarlyEnd, Ended, GpuId, Reading, Turn, WatermarkState
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.feature_sets import FeatureSet

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
    """Complete clips whose features are not there, or not trusted yet."""
    encoded_before: frozenset[int]
    """Clips that had features when the run started: they do not count for the encoder's speed."""
    clip_bytes: int
    """What a clip takes at most."""
    lock: int | None = None
    """Of the folder, a descriptor that whatever writes there holds with us; None: nothing is started."""
    complete_before: int = 0
    """Clips that were complete when the run started."""
    lacks: dict[int, set[str]] = field(default_factory=dict)
    """Feature sets that clips lack, of those that are unencoded and were looked at."""
    workers: dict[int, Worker] = field(default_factory=dict)
    idle: list[Server] = field(default_factory=list)
    """Renderers that have just made a clip, and take the next one if it comes in the same tick."""
    leaving: list[Server] = field(default_factory=list)
    """Renderers that get no other clip, and have not ended yet."""
    left_behind: list[Path] = field(default_factory=list)
    """What supervisors that have ended printed; to be removed."""
    ended: dict[int, Ended] = field(default_factory=dict)
    completions: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    encode_completions: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    encoders: dict[int, Encoder] = field(default_factory=dict)
    """Those at work, by number."""
    rested: dict[int, Mapping[int, str]] = field(default_factory=dict)
    """Encoders that have nothing left to do while others are still at work; and what they could not encode."""
    features_trusted: bool = False
    """Whether an encoder has started and found the features that are there to be those it would make."""
    early_ends: list[EarlyEnd] = field(default_factory=list)
    """Encoders that ended without having finished, since one last encoded a clip."""
    encode_failed: dict[int, str] = field(default_factory=dict)
    look: Look = field(default_factory=lambda: Look((), ()))
    readings: dict[GpuId, Reading] = field(default_factory=dict)
    """The newest of each GPU, whatever its age."""
    looked_at: float | None = None
    watermarks: Mapping[GpuId, WatermarkState] = field(default_factory=dict)
    turn: Turn = field(default_factory=Turn)
    """As the last tick left it."""
    departed: deque[Departed] = field(default_factory=deque)
    """Workers that have ended not long ago, the oldest first."""
    clip_memory: LearnedMemory = field(default_factory=LearnedMemory)
    claims: Claims | None = None
    """What runs on this machine claim of its GPUs; None where the run's clips use none, or nothing is started."""

    @classmethod
    def start(cls, job: Job, found: Scan, node: str, cpus: int, lock: int | None = None) -> "State":
        """Return the state before the first tick."""
        return cls(
            job=job,
            node=node,
            cpus=cpus,
            lock=lock,
            vram_source=NvmlSource(node) if job.run.spec.render.device != "cpu" else None,
            complete=set(found.complete),
            waiting=deque(found.missing),
            unencoded=set(found.complete),
            encoded_before=found.encoded,
            clip_bytes=largest_clip(job.run),
            complete_before=len(found.complete),
            claims=Claims() if job.run.spec.render.device != "cpu" and lock is not None else None,
            ended={clip: unreadable(clip, reason, 0.0) for clip, reason in found.unreadable.items()},
        )


def unreadable(clip: int, reason: str, now: float) -> Ended:
    """Return the end of a clip that an error of reading hides: it may be complete, and is not made again over it."""
    return Ended(clip, ExitCode.FAILED, f"cannot be read: {reason}; it is left as it is", now, 1)


def largest_clip(run: Run) -> int:
    """Return what a clip takes on the disk at most, bytes: frames that do not compress at all, and features.

    Noise compresses by half, so this is about twice what a clip of the built-in renderer takes.
    """
    scene, encode = run.spec.scene, run.spec.encode
    frames = scene.frames * scene.resolution**2 * 3 * len(scene.layers)
    if not encode.enabled:
        return frames
    return frames + sum(_bytes(each, scene.frames) for each in encode.sets)


def _bytes(each: FeatureSet, frames: int) -> int:
    found = cost(each, frames)
    if found is not None:
        return found.bytes
    tokens = LARGEST_MODEL.tokens(frames, each.crop)
    return tokens * LARGEST_MODEL.width * (2 if each.dtype == "fp16" else 4) * max(1, len(each.extraction.layers))

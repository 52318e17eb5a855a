"""Simulated runs: what their clips allocate and when, drawn from a seed. Numbers are MiB and seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CONTEXT_MIB = 450.0
"""A CUDA context with Cycles' kernels, of whatever scene."""
COLD_IMPORT_SECONDS = 22.0
"""Blender from a disk that has to be read first; one clip in twenty."""


@dataclass(frozen=True)
class Party:
    """One run of several that share GPUs."""

    clips: int
    workers: int
    peak: float = 2500.0
    """Mean of the clips' peaks, MiB; they differ by a tenth."""
    plateau: float = 0.7
    """What a clip has in use between its spikes, as a part of its peak."""
    render_seconds: float = 40.0
    """A clip's time on a GPU of its own."""
    knows: str = "learned"
    """What clips take: given, learned, or nothing."""
    vram: dict[str, Any] = field(default_factory=dict)
    """Of the run's spec, on top."""
    priority: int = 1
    begins: int = 0
    """Second in which the run is created."""
    deleted: int | None = None
    """Second in which it is deleted, with its clips."""


@dataclass(frozen=True)
class Scenario:
    """What is simulated. The fields of a run are those of the only one, unless ``parties`` names several."""

    name: str
    nodes: tuple[tuple[int, int], ...]
    """Of each node: GPUs, and their size in GiB."""
    clips: int = 0
    workers: int = 0
    peak: float = 2500.0
    plateau: float = 0.7
    render_seconds: float = 40.0
    at_full_speed: float = 6.0
    """Clips that a GPU renders at a time without slowing each other down."""
    tenants: str = "none"
    """Of others: none, steady, steps, bursts, or encoder (on each node's first GPU)."""
    collects: float = 1.0
    """Seconds between two looks of an exporter at its GPUs."""
    tells_age: bool = False
    """Whether it says how old its values are, as the agent does."""
    outages: float = 0.0
    """Part of the time in which an exporter does not answer."""
    knows: str = "learned"
    vram: dict[str, Any] = field(default_factory=dict)
    parties: tuple[Party, ...] = ()
    restart: int | None = None
    """Second in which the operator is killed and starts again."""

    @property
    def runs(self) -> tuple[Party, ...]:
        """The runs."""
        one = Party(self.clips, self.workers, self.peak, self.plateau, self.render_seconds, self.knows, self.vram)
        return self.parties or (one,)

    @property
    def total(self) -> int:
        """Clips of all runs."""
        return sum(run.clips for run in self.runs)


class Clips:
    """All clips of all runs: when and how much each allocates. They are numbered through."""

    def __init__(self, runs: Sequence[Party], randoms: Sequence[np.random.Generator]) -> None:
        drawn = [_draw(run, random) for run, random in zip(runs, randoms, strict=True)]
        every = {name: np.concatenate([each[name] for each in drawn]) for name in drawn[0]}
        self.starts, self.ramp, self.renders, self.saves = (every[n] for n in ("starts", "ramp", "renders", "saves"))
        self.peak, self.plateau, self.offset = every["peak"], every["plateau"], every["offset"]
        self.every = every["every"]
        """Seconds of rendering between two spikes, of one second each."""
        self.average = self.plateau + (self.peak - self.plateau) / self.every
        self.deviation = (self.peak - self.plateau) * np.sqrt(1.0 / self.every * (1.0 - 1.0 / self.every))
        self.allocated = self.starts + self.ramp
        self.of_run: Ints = np.repeat(np.arange(len(runs)), [run.clips for run in runs])

    def use(self, which: Ints, age: Array, work: Array) -> Array:
        """Return what clips have in use, at this age and with this much rendered."""
        risen = np.minimum(1.0, work / self.ramp[which])
        base = CONTEXT_MIB + (self.plateau[which] - CONTEXT_MIB) * risen
        spike = (risen >= 1.0) & ((work + self.offset[which]) % self.every[which] < 1.0)
        rendering = work < self.renders[which]
        here = np.where(spike & rendering, self.peak[which], base)
        return np.where(age < self.starts[which], 0.0, here)


def _draw(run: Party, random: np.random.Generator) -> dict[str, Array]:
    """Return the clips of one run; what each of them takes is drawn."""
    count = run.clips
    starts = random.lognormal(np.log(4.0), 0.3, count)
    starts[random.random(count) < 0.05] = COLD_IMPORT_SECONDS
    ramp = random.uniform(1.0, 4.0, count)
    renders = run.render_seconds * random.lognormal(0.0, 0.15, count)
    saves = random.uniform(1.0, 2.0, count)
    peak = np.maximum(run.peak * np.clip(random.normal(1.0, 0.1, count), 0.75, 1.25), CONTEXT_MIB * 1.3)
    plateau = np.maximum(peak * run.plateau, CONTEXT_MIB)
    every, offset = random.uniform(3.0, 8.0, count), random.uniform(0.0, 8.0, count)
    return {
        "starts": starts, "ramp": ramp, "renders": renders, "saves": saves,
        "peak": peak, "plateau": plateau, "every": every, "offset": offset,
    }  # fmt: skip

"""GPU memory that a clip of the run is expected to take."""

import math
import statistics
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Protocol

from clipfarm.decide.vram.options import Vram
from clipfarm.world import ClipMemory, World
from clipfarm_contract.result import MIB

MARGIN = 1.1
"""The next clip may be larger than the largest so far by this factor."""
FEW = 50
"""After so many clips the next one is the largest once in fifty times, and hardly larger: no margin."""
PEAK = 1.5
"""A guess at a clip's peak, as a multiple of its average use."""
DEVIATIONS = 2.55
"""How far clips together may exceed their average use, in standard deviations. Found by simulation."""
FEW_ON_GPU = 3
"""With so many clips on a GPU, one more makes it faster by a third or more: worth an attempt that is lost now and then.
Found by simulation."""
TYPICAL = 1 / 3
"""A guess at the time until a clip has allocated, as a fraction of the longest, for clips that do not report it."""


class Summed(Protocol):
    """Clips of other runs together: :class:`clipfarm.decide.vram.others.Others`."""

    @property
    def pods(self) -> float:
        """How many there are."""

    @property
    def peaks(self) -> float:
        """Memory if all are at their peaks, MiB."""

    @property
    def usual(self) -> float:
        """Memory on average, MiB."""

    @property
    def variance(self) -> float:
        """Variance of it at one moment, MiB²."""


@dataclass(frozen=True, slots=True)
class Expected:
    """GPU memory that a clip takes, MiB."""

    most: float
    """Peak of a large clip."""
    mean: float
    """Mean of the clips' peaks."""
    average: float = 0.0
    """Average use while it renders; 0: unknown."""
    allocated_after: float = math.inf
    """Seconds from its start, on average."""
    given: bool = False
    """Whether ``vram.perClip`` gives it; else it is learned."""
    guessed: bool = False
    """Whether it comes from readings of whole GPUs alone, which may have missed the peaks."""
    deviation: float = math.inf
    """Standard deviation of a clip's use at any moment while it renders; infinite: unknown."""

    def together(self, clips: int, others: "Summed | None" = None, *, surely: bool = False) -> float:
        """Return the most that so many clips, and those of other runs, use at a time, MiB.

        Peaks seldom coincide: the more clips, the closer their sum is to its average. The last clip may be the largest
        so far. Where there are few, that is not expected at a moment when they exceed their average, too: independent
        deviations add up as the root of the sum of their squares.

        Args:
            clips: of this run.
            others: of other runs.
            surely: whether both are expected at the same moment, however few there are.
        """
        every, known = (clips - 1) * self.mean + self.most, math.isfinite(self.deviation)
        usual = clips * (self.average if known else self.mean)
        deviation = self.deviation * math.sqrt(clips) if known else 0.0
        if others is not None:
            every, usual = every + others.peaks, usual + others.usual
            deviation = math.hypot(deviation, math.sqrt(max(0.0, others.variance)))
        few = clips + (others.pods if others is not None else 0.0) < FEW_ON_GPU + 0.5
        by_chance, larger = DEVIATIONS * deviation, self.most - self.mean
        beyond = math.hypot(by_chance, larger) if few and not surely else by_chance + larger
        return min(every, usual + beyond)

    @property
    def alone(self) -> float:
        """Free memory that the first clip on a GPU needs, MiB.

        If it is learned, margins are left out: no clip of the run would ever free more memory, and a clip that is
        never tried teaches nothing.
        """
        return self.most if self.given else self.mean


def reported(learned: ClipMemory) -> Expected:
    """Return what the next clip takes, by what finished ones have reported."""
    most = learned.peak_mib * (MARGIN if learned.clips < FEW else 1.0)
    return Expected(
        most, learned.mean_mib, learned.average_mib, learned.allocated_after, deviation=learned.deviation_mib
    )


def expected(vram: Vram, world: World) -> Expected | None:
    """Return what a clip takes: the larger of ``vram.perClip`` and what the run's clips have reported.

    If they report nothing, it is derived from readings of GPUs, as soon as there was one without clips and one with
    clips that had all allocated. None: nothing is known.
    """
    given, learned = (vram.per_clip or 0.0) / MIB, world.clip_memory
    if learned is not None:
        found = reported(learned)
        return replace(found, most=max(given, found.most), given=given >= found.most)
    # Of hundreds of GPUs few have taught something.
    states = world.watermarks.values()
    shares = list(filter(None, map(attrgetter("per_clip_mib"), states)))
    # Neighbours may have changed on some of the GPUs; the median is right.
    average = statistics.median(shares) if shares else 0.0
    if not average and not given:
        return None
    peak = given or average * PEAK
    average = min(average, peak)
    neighbours = filter(None, map(attrgetter("neighbours"), states))
    known = [deviation for each in neighbours if (deviation := each.deviation_mib) is not None]
    typical = statistics.median(known) if known else math.inf
    after = vram.allocation_time * TYPICAL
    return Expected(peak, peak, average, after, given=bool(given), guessed=not given, deviation=typical)

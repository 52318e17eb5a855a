"""GPU memory that neighbours use: what readings of the whole GPU show beyond clips of which clipfarm knows."""

import math
from functools import lru_cache

from clipfarm.decide.vram.counts import Counts
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.others import NONE, Others
from clipfarm.world import Neighbours, Reading

RECENT_SECONDS = 40.0
"""Readings of this time make the median that neighbours use all the time."""
FEW_READINGS = 4
"""With no more readings than these, their scatter is unknown."""
MANY_READINGS = 100
"""Readings in the mean of the scatter, about."""
BURST_SECONDS = 900.0
"""How long a burst is remembered. A burst that recurs within this time is expected to recur again."""
BURST_PART = 0.05
"""Smallest burst, as a fraction of the GPU."""


@lru_cache(maxsize=2048)
def _lately(before: tuple[tuple[float, float], ...], at: float, left: float) -> tuple[tuple[float, float], ...]:
    """Return what readings of the last 40 s left for neighbours, with a new one.

    Most runs have no clips on most GPUs, and see the same there: hundreds of GPUs times dozens of runs share the lists.
    """
    return (*(each for each in before if each[0] > at - RECENT_SECONDS), (at, left))


def follow(
    reading: Reading,
    before: Neighbours | None,
    count: Counts | None,
    per_clip: Expected | None,
    others: Others = NONE,
) -> Neighbours | None:
    """Return what neighbours use, given what was known before and a reading; None until it is known what clips take.

    What they use all the time is the median, over the last 40 s, of readings less the clips that they show at their
    average use: a median, because it is not known exactly which clips a reading shows. A burst is what exceeds that
    even if every clip used as much as it may by chance at one moment.

    Args:
        reading: of the GPU.
        before: the state after the reading before; None: there is none.
        count: the run's pods on the GPU.
        per_clip: memory that a clip takes.
        others: clips of other runs on the GPU.
    """
    if per_clip is None or not per_clip.average:
        return None
    if before is not None and before.at >= reading.at:
        return before
    count = count or Counts()
    left = reading.used_mib - count.showing * per_clip.average - others.showing
    lately = _lately(before.lately if before else (), reading.at, left)
    shown = count.pods + count.ended
    chance = (per_clip.most - per_clip.average) * math.sqrt(shown)
    chance = math.hypot(chance, math.sqrt(max(0.0, others.shown_square)))
    surely = max(0.0, reading.used_mib - shown * per_clip.average - others.shown - chance)
    bursts = tuple(burst for burst in (before.bursts if before else ()) if burst[0] > reading.at - BURST_SECONDS)
    above = surely > min([each for _, each in lately]) + BURST_PART * reading.total_mib
    # Clips of other runs whose use is unknown look like neighbours, and would be kept free for when they are known.
    in_burst = above and others.blind < 0.5
    if in_burst and before is not None and before.in_burst and bursts:
        bursts = (*bursts[:-1], (bursts[-1][0], max(bursts[-1][1], surely)))
    elif in_burst:
        bursts = (*bursts, (reading.at, surely))
    scatter, samples = (before.scatter, before.samples) if before else (0.0, 0)
    found = Neighbours(reading.at, lately, bursts, surely, in_burst, scatter, samples)
    if not count.pods or others.any or len(lately) <= FEW_READINGS:
        return found
    samples = min(samples + 1, MANY_READINGS)
    scatter += (abs(left - found.least_mib) / math.sqrt(count.pods) - scatter) / samples
    return Neighbours(reading.at, lately, bursts, surely, in_burst, scatter, samples)

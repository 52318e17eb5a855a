"""What others than this run have in use of a GPU, as far as readings of the whole tell."""

import math
from dataclasses import replace

from clipfarm.decide.expectation import Counts, Expected
from clipfarm.run import Vram
from clipfarm.world import Others, Reading

RECENT_SECONDS = 40.0
"""How long a reading says what others have."""
FEW_READINGS = 4
"""No more readings than these tell nothing of how much they differ."""
MANY_READINGS = 100
"""Readings, about, that such a mean is made of."""
BURST_SECONDS = 900.0
"""How long a burst is remembered. Who came back once within this time is expected to come again."""
BURST_PART = 0.05
"""What is less than this part of a GPU is no burst."""


def opens_below(vram: Vram, reading: Reading, others: Others | None) -> float:
    """Return the part of a GPU below which its gate opens again.

    What the run's own clips have in use is known, and they end soon: only others make it wait for ``low``.
    """
    if others is not None and others.now_mib < vram.low * reading.total_mib:
        return vram.high
    return vram.low


def follow(reading: Reading, before: Others | None, count: Counts | None, per_clip: Expected | None) -> Others | None:
    """Return what others have, given what was known before and a reading; None while nobody knows what clips take.

    Their least is what is left of readings without the clips that they show, at their average use: the middle one of
    the last 40 s, since nobody knows exactly which clips a reading shows. Bursts are what is left without all clips,
    at what they may have in use by chance at one moment.
    """
    if per_clip is None or not per_clip.average:
        return None
    if before is not None and before.at >= reading.at:
        return before
    count = count or Counts()
    left = reading.used_mib - count.showing * per_clip.average
    kept = before.lately if before else ()
    lately = (*(each for each in kept if each[0] > reading.at - RECENT_SECONDS), (reading.at, left))
    shown = count.pods + count.ended
    chance = (per_clip.most - per_clip.average) * math.sqrt(shown)
    surely = max(0.0, reading.used_mib - shown * per_clip.average - chance)
    bursts = tuple(burst for burst in (before.bursts if before else ()) if burst[0] > reading.at - BURST_SECONDS)
    in_burst = surely > min(each for _, each in lately) + BURST_PART * reading.total_mib
    if in_burst and before is not None and before.in_burst and bursts:
        bursts = (*bursts[:-1], (bursts[-1][0], max(bursts[-1][1], surely)))
    elif in_burst:
        bursts = (*bursts, (reading.at, surely))
    found = Others(reading.at, lately, bursts, surely, in_burst)
    scatter, samples = (before.scatter, before.samples) if before else (0.0, 0)
    if count.pods and len(lately) > FEW_READINGS:
        samples = min(samples + 1, MANY_READINGS)
        scatter += (abs(left - found.least_mib) / math.sqrt(count.pods) - scatter) / samples
    return replace(found, scatter=scatter, samples=samples)

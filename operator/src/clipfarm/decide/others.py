"""What others than this run have in use of a GPU, as far as readings of the whole tell."""

import math

from clipfarm.decide.expectation import Counts, Expected
from clipfarm.world import Others, Reading

LOW_SECONDS = 60.0
"""How long a low reading says what others have."""
BURST_SECONDS = 900.0
"""How long a burst is remembered. Who came back once within this time is expected to come again."""
BURST_PART = 0.05
"""What is less than this part of a GPU is no burst."""


def follow(reading: Reading, before: Others | None, count: Counts | None, per_clip: Expected | None) -> Others | None:
    """Return what others have, given what was known before and a reading; None while nobody knows what clips take.

    Their least is what is left of a reading without the clips that have allocated, at their average use. The lowest of
    the last minute counts, since what young clips have allocated already makes the others too high. Bursts are what
    is left without all clips, at what they may have in use by chance at one moment.
    """
    if per_clip is None or not per_clip.average:
        return None
    if before is not None and before.at >= reading.at:
        return before
    count = count or Counts()
    least = max(0.0, reading.used_mib - count.allocated * per_clip.average)
    kept = before.lows if before else ()
    lows = tuple(low for low in kept if low[0] > reading.at - LOW_SECONDS and low[1] < least)
    lows = (*lows, (reading.at, least))
    shown = count.pods + count.ended
    chance = (per_clip.most - per_clip.average) * math.sqrt(shown)
    surely = max(0.0, reading.used_mib - shown * per_clip.average - chance)
    bursts = tuple(burst for burst in (before.bursts if before else ()) if burst[0] > reading.at - BURST_SECONDS)
    in_burst = surely > lows[0][1] + BURST_PART * reading.total_mib
    if in_burst and before is not None and before.in_burst and bursts:
        bursts = (*bursts[:-1], (bursts[-1][0], max(bursts[-1][1], surely)))
    elif in_burst:
        bursts = (*bursts, (reading.at, surely))
    return Others(reading.at, lows, bursts, surely, in_burst)

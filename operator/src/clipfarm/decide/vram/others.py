"""Clips of other runs on a GPU: the memory that they claim, and what readings show of them.

A clip counts at the size that its own run expects. If that run knows nothing of its clips yet, one that readings show
is part of what neighbours use; one that they do not show may take anything.
"""

import math
from operator import add, sub
from typing import NamedTuple

from clipfarm.decide.vram.counts import Counts
from clipfarm.decide.vram.expected import Expected


class Others(NamedTuple):
    """Clips of other runs in one place, summed over the runs. Sizes are MiB.

    A tuple, because each tick adds up tens of thousands of them.
    """

    pods: float = 0
    """Clips there."""
    unseen: float = 0
    """Of these, clips whose memory readings may not show in full: it is claimed."""
    unknown: float = 0
    """Of these, clips of which nothing is known: they may take anything."""
    blind: float = 0
    """Clips whose average use is unknown."""
    ended: float = 0
    """Clips that have ended and whose memory readings may show in part."""
    ran_out: float = 0
    """Runs of which a clip ran out of memory there after the readings."""
    claimed: float = 0.0
    """Memory that clips claim: a mean peak for each that readings may not show."""
    freed: float = 0.0
    """Memory that readings still show and that clips which have ended no longer use."""
    showing: float = 0.0
    """Memory of these clips that readings are expected to show."""
    usual: float = 0.0
    """Memory of all clips on average; at their peaks or by their claims if the average is unknown."""
    variance: float = 0.0
    """Variance of that sum at one moment, MiB²."""
    peaks: float = 0.0
    """Memory of all clips if all are at their peaks."""
    shown: float = 0.0
    """The most, on average, that readings show of clips that are there or have ended."""
    shown_square: float = 0.0
    """Square of how far these may be above their average by chance, MiB²."""
    encoders: float = 0
    """Of ``unseen``, encoders."""
    last_attempts: float = 0
    """Of all, those whose clip would fail for good."""

    @property
    def any(self) -> bool:
        """Whether there are clips, or were a moment ago; sums of floats may be off by a little."""
        return self.pods + self.ended > 0.5

    def plus(self, other: "Others") -> "Others":
        """Return the sum."""
        return Others._make(map(add, self, other))

    def minus(self, other: "Others") -> "Others":
        """Return what is left without a summand."""
        return Others._make(map(sub, self, other))

    def over(self, gpus: int) -> "Others":
        """Return the part of one GPU, if a node spreads the clips evenly over several. Claims are rounded up."""
        if gpus <= 1 or not self.any:
            return self
        part = Others._make(each / gpus for each in self)
        claimed = self.claimed / self.unseen * math.ceil(self.unseen / gpus) if self.unseen else 0.0
        return part._replace(claimed=claimed, unknown=self.unknown, last_attempts=self.last_attempts)


NONE = Others()


def of(count: Counts, per_clip: Expected | None) -> Others:
    """Return what one run's clips in a place are to other runs."""
    pods, unseen, ran_out, last = count.pods, count.unseen, int(count.ran_out), count.last_attempts
    if per_clip is None:
        return Others(pods, unseen, unseen, pods, count.ended, ran_out, last_attempts=last)
    claimed = unseen * per_clip.mean
    if not per_clip.average:
        all_claimed = {"usual": claimed, "peaks": claimed}
        return Others(pods, unseen, 0, pods, count.ended, ran_out, claimed, **all_claimed, last_attempts=last)
    certain = math.isfinite(per_clip.deviation)
    shown = pods + count.ended
    return Others(
        pods,
        unseen,
        0,
        0,
        count.ended,
        ran_out,
        claimed,
        freed=count.gone * per_clip.average,
        showing=count.showing * per_clip.average,
        usual=pods * (per_clip.average if certain else per_clip.mean),
        variance=pods * per_clip.deviation**2 if certain else 0.0,
        peaks=pods * per_clip.mean,
        shown=shown * per_clip.average,
        shown_square=shown * (per_clip.most - per_clip.average) ** 2,
        last_attempts=last,
    )

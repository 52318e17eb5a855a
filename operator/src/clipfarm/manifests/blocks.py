"""How clips are dealt out to the indexes of a Job."""

import math
from dataclasses import dataclass

from clipfarm.manifests.common import ONLY_ANNOTATION
from clipfarm.run import Run
from clipfarm_contract.indexes import Indexes

MOST_INDEXES = 100_000
"""With backoffLimitPerIndex a Job has no more completions than these."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The clips of a Job, in blocks: one index makes one block."""

    clips: Indexes
    per_index: int

    @classmethod
    def of(cls, run: Run, only: str = "") -> "Blocks":
        """Return blocks of ``clipsPerPod`` clips, or larger ones where these would be too many indexes.

        Args:
            run: whose clips.
            only: ranges of clips, where not all are to be made.

        Raises:
            ValueError: ``only`` is no list of clips of this run.
        """
        start, end = run.spec.clips.start, run.spec.clips.end
        clips = _left(only, start, end) if only else Indexes.between(start, end)
        return cls(clips, max(run.spec.render.clips_per_pod, math.ceil(clips.count / MOST_INDEXES)))

    @property
    def count(self) -> int:
        """How many indexes there are."""
        return math.ceil(self.clips.count / self.per_index)

    def size(self, index: int) -> int:
        """Return how many clips an index has; the last may have fewer."""
        return min(self.per_index, self.clips.count - index * self.per_index)

    def of_index(self, index: int) -> list[int]:
        """Return the clips of an index."""
        first = index * self.per_index
        return [self.clips.at(place) for place in range(first, first + self.size(index))]

    def clips_in(self, indexes: Indexes) -> int:
        """Return how many clips some indexes have together."""
        last = self.count - 1
        return indexes.count * self.per_index - (self.per_index - self.size(last) if last in indexes else 0)


def _left(only: str, start: int, end: int) -> Indexes:
    try:
        clips = Indexes.parse(only)
    except ValueError:
        clips = Indexes()
    if not clips.count or clips.ranges[0][0] < start or clips.ranges[-1][1] > end:
        raise ValueError(
            f"annotation {ONLY_ANNOTATION}: found {only[:60]}, expected clips from {start} to {end}, as 3,7-9"
        )
    return clips

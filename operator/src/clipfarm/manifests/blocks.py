"""How clips are dealt out to the indexes of a Job."""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from clipfarm.manifests.pod_work import clips_of_a_pod
from clipfarm.packed import unpack
from clipfarm.run import Run
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import ONLY_ANNOTATION

MOST_INDEXES = 100_000
"""With backoffLimitPerIndex a Job has no more completions than these."""
MOST_LIST = 750_000
"""Characters of a Job's clips as ranges: they stand in a ConfigMap, which holds 1 MiB, beside an experiment of up to
260 KB. 100,000 indexes of which every second one failed have up to 50,000 ranges: 700,000 characters for a run of
1,000,000 clips."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The clips of a Job, in blocks: one index makes one block."""

    clips: Indexes
    per_index: int
    _places: tuple[int, ...] = field(default=(), compare=False, repr=False)
    """How many clips come before each of their ranges: a retry may have tens of thousands of ranges."""

    @classmethod
    def of(cls, run: Run, only: str = "", per_index: int | None = None, workers: int | None = None) -> "Blocks":
        """Return the blocks of a Job that is there, or of one that is to be made.

        Args:
            run: whose clips; one with a source renders none.
            only: ranges of clips, where not all are to be made.
            per_index: clips of an index, as the Job that is there records it. None: as many as a pod of a new Job makes
                (:mod:`clipfarm.manifests.pod_work`), or more where these would be too many indexes.
            workers: clips that may run at a time, for a new Job; None: unknown.

        Raises:
            ValueError: ``only`` is no list of clips of this run.
        """
        if run.spec.source is not None:
            return cls(Indexes(), 1)
        start, end = run.spec.to_render.start, run.spec.to_render.end
        clips = _left(only, start, end) if only else Indexes.between(start, end)
        places = accumulate((last - first + 1 for first, last in clips.ranges), initial=0)
        if per_index is None:
            per_index = max(clips_of_a_pod(run, clips.count, workers), math.ceil(clips.count / MOST_INDEXES))
        return cls(clips, per_index, tuple(places))

    @property
    def count(self) -> int:
        """How many indexes there are."""
        return math.ceil(self.clips.count / self.per_index)

    def size(self, index: int) -> int:
        """Return how many clips an index has; the last may have fewer."""
        return min(self.per_index, self.clips.count - index * self.per_index)

    def of_index(self, index: int) -> list[int]:
        """Return the clips of an index."""
        place, missing = index * self.per_index, self.size(index)
        number, found = bisect_right(self._places, place) - 1, list[int]()
        while len(found) < missing:
            first, last = self.clips.ranges[number]
            start = first + place + len(found) - self._places[number]
            found += range(start, min(last + 1, start + missing - len(found)))
            number += 1
        return found

    def clips_in(self, indexes: Indexes) -> int:
        """Return how many clips some indexes have together."""
        last = self.count - 1
        return indexes.count * self.per_index - (self.per_index - self.size(last) if last in indexes else 0)


def why_too_long(clips: Indexes) -> str:
    """Return why a Job cannot have a list of clips, as ``found ..., expected ...``; empty if it can."""
    length = len(str(clips))
    if length <= MOST_LIST:
        return ""
    return (
        f"found {clips.count} clips in {len(clips.ranges)} separate ranges, which take {length / 1000:.0f} KB,"
        f" expected at most {MOST_LIST / 1000:.0f} KB; make a new run of them"
    )


def _left(only: str, start: int, end: int) -> Indexes:
    try:
        clips = unpack(only)
    except ValueError:
        clips = Indexes()
    if not clips.count or clips.ranges[0][0] < start or clips.ranges[-1][1] > end:
        raise ValueError(
            f"annotation {ONLY_ANNOTATION}: found {only[:60]}, expected clips from {start} to {end}, as 3,7-9"
        )
    if problem := why_too_long(clips):
        raise ValueError(f"annotation {ONLY_ANNOTATION}: {problem}")
    return clips

"""The places that are left for a run's clips, the best one first."""

import heapq
import math
from dataclasses import dataclass, field, replace
from functools import cached_property

from clipfarm.decide.places import Places, Unseen, rank
from clipfarm.decide.rules import no_node
from clipfarm.decide.rules.rule import Hold
from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.rules.table import Reason, hold_of_place
from clipfarm.decide.vram.claims import missing
from clipfarm.decide.vram.place import Place

SHARED = (Reason.VRAM_HIGH, Reason.VRAM_CLAIMS)
"""Reasons that end when clips of other runs end."""


@dataclass
class Choice:
    """The places that are left.

    A place that a rule holds is out for the rest of the tick, because it only fills up. So each clip costs the time of
    one look into a heap, however many clips and places there are.
    """

    situation: Situation
    places: Places
    """All places. Of a run without a clip to start they are never asked for."""
    _held: list[tuple[Hold, Place]] = field(default_factory=list)

    @cached_property
    def _heap(self) -> list[tuple[tuple[float, float], int, Place | Unseen]]:
        """Places that are left, the best one first."""
        heap: list[tuple[tuple[float, float], int, Place | Unseen]] = [
            (at_most, number, place) for number, (at_most, place) in enumerate(self.places.all())
        ]
        heapq.heapify(heap)
        return heap

    def best(self) -> Place | None:
        """Return the best place that no rule holds; None: no place is left."""
        while self._heap:
            (_, use), number, found = self._heap[0]
            place, changed = self.places.seen(found)
            # A place is ranked once it comes first.
            if changed or use == -math.inf:
                heapq.heapreplace(self._heap, (rank(place, self.situation.per_clip), number, place))
                continue
            hold = hold_of_place(place, self.situation)
            if hold is None:
                return place
            heapq.heappop(self._heap)
            self._held.append((hold, place))
        return None

    def take(self, place: Place) -> None:
        """Count a clip that starts at the best place."""
        place.admit()
        heapq.heapreplace(self._heap, (rank(place, self.situation.per_clip), self._heap[0][1], place))

    def wanted(self) -> Place | None:
        """Return the place that lacks the least memory for one more clip, of those that clips of other runs fill.

        What comes free there is kept for this run, so each time the same place lacks less.
        """
        if self._heap:
            return None
        per_clip, high = self.situation.sure_per_clip, self.situation.run.spec.vram.high
        found: tuple[float, Place] | None = None
        for hold, place in self._held:
            state = place.fullest
            if hold.reason not in SHARED or not place.others.pods or state is None or state.reading is None:
                continue
            lacks = missing(place, state.reading, per_clip, high) if per_clip else state.reading.used_fraction
            if found is None or lacks < found[0]:
                found = (lacks, place)
        return found[1] if found else None

    @cached_property
    def hold(self) -> Hold:
        """Why no place takes a clip, once none is left: the reason of the best one.

        One more node helps if none of the places will take a clip by itself.
        """
        if not self._held:
            return Reason.NO_NODE.hold(no_node.RULE.message(self.situation))
        first, others = self._held[0][0], len(self._held) - 1
        if not others:
            return first
        more = "1 other place is held, too" if others == 1 else f"{others} other places are held, too"
        capacity = all(hold.capacity for hold, _ in self._held)
        return replace(first, message=f"{first.message}; {more}", capacity=capacity)

"""The places that are left for a run's clips, the best one first."""

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from clipfarm.decide.places import Places, Position, Ranked, rank
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
    _aside: list[tuple[tuple[Ranked, Place], Hold]] = field(default_factory=list)
    """Places that may take other clips, but not surely the last one that was looked at."""
    _hold: tuple[int, Hold] | None = None
    """What was worked out with so many places held."""
    _none_is_sure: bool = False
    """Whether a clip that takes no risk found no place, and no other clip was looked at since."""
    kept: list[Place] = field(default_factory=list)
    """Places that are kept for clips that take no risk."""

    @cached_property
    def _heap(self) -> list[tuple[Ranked, Place | None]]:
        """Places that are left, the best one first; None: a GPU that was not looked at yet."""
        heap: list[tuple[Ranked, Place | None]] = list(self.places.rest())
        heapq.heapify(heap)
        return heap

    @cached_property
    def _fuller(self) -> deque[tuple[float, Sequence[Position]]]:
        """GPUs that come after those by how many clips are there, with that number."""
        return deque(self.places.by_clips())

    def best(self, *, keeps: bool = False) -> Place | None:
        """Return the best place that no rule holds; None: no place is left.

        A clip that takes no risk may find none although others of its run would. Of the places that hold it alone, the
        one that lacks the least memory is then kept for it for the rest of the tick, so that it gets its turn.

        Args:
            keeps: whether a place is kept for the clip: others of its run take more risk.
        """
        if keeps and self._none_is_sure:
            self._keep_one()  # places only fill up, so the next such clip finds none either
            return None
        for entry, _ in self._aside:
            heapq.heappush(self._heap, entry)
        self._aside.clear()
        while self._comes_next():
            (key, position), place = self._heap[0]
            if place is None and (now := self.places.at_most(position, self.situation.per_clip)) > (key, position):
                heapq.heapreplace(self._heap, (now, None))  # clips of other runs have come there since
                continue
            # A place is ranked once it comes first.
            if place is None or self.places.changed(place) or key[1] == -math.inf:
                place = place or self.places.at(position)
                heapq.heapreplace(self._heap, self._ranked(position, place))
                continue
            hold = hold_of_place(place, self.situation)
            if hold is None:
                return place
            heapq.heappop(self._heap)
            if keeps and hold.reason == Reason.VRAM_CLAIMS:
                self._aside.append((self._ranked(position, place), hold))
            else:
                self._held.append((hold, place))
        self._none_is_sure = keeps
        self._keep_one()
        return None

    def _comes_next(self) -> bool:
        """Add GPUs to the places that are left until the best one is among them; return whether there is one."""
        while self._fuller:
            fewest, positions = self._fuller[0]
            if self._heap:
                ((clips, _), _), _ = self._heap[0]
                if clips < fewest:
                    break
            for each in positions:
                heapq.heappush(self._heap, (self.places.at_most(each, self.situation.per_clip), None))
            self._fuller.popleft()
        return bool(self._heap)

    def _ranked(self, position: Position, place: Place) -> tuple[Ranked, Place]:
        return (rank(place, self.situation.per_clip), position), place

    def _keep_one(self) -> None:
        """Keep one of the places that were set aside."""
        if self._aside:
            kept = min(self._aside, key=lambda each: self._lacks(each[0][1]))
            self._aside.remove(kept)
            self._held.append((kept[1], kept[0][1]))
            self.kept.append(kept[0][1])

    def take(self, place: Place) -> None:
        """Count a clip that starts at the best place."""
        place.admit(last_attempt=self.situation.surely)
        heapq.heapreplace(self._heap, self._ranked(self._heap[0][0][1], place))

    def wanted(self) -> Place | None:
        """Return the place that lacks the least memory for one more clip, of those that clips of other runs fill.

        What comes free there is kept for this run, so each time the same place lacks less.
        """
        if self._heap or self._fuller:
            return None
        found: tuple[float, Place] | None = None
        for hold, place in self._held:
            state = place.fullest
            if hold.reason not in SHARED or not place.others.pods or state is None or state.reading is None:
                continue
            lacks = self._lacks(place)
            if found is None or lacks < found[0]:
                found = (lacks, place)
        return found[1] if found else None

    def _lacks(self, place: Place) -> float:
        """Return the memory that a place lacks for one more clip, MiB; what is in use of it, where no size is known."""
        per_clip, high = self.situation.sure_per_clip, self.situation.run.spec.vram.high
        state = place.fullest
        if state is None or state.reading is None:
            return math.inf
        used = state.reading.used_fraction
        return missing(place, state.reading, per_clip, high, surely=self.situation.surely) if per_clip else used

    @property
    def hold(self) -> Hold:
        """Why no place takes a clip, once none is left: the reason of the best one.

        One more node helps if none of the places will take a clip by itself.
        """
        if self._hold is None or self._hold[0] != len(self._held):
            self._hold = len(self._held), self._why()
        return self._hold[1]

    def _why(self) -> Hold:
        if not self._held:
            return Reason.NO_NODE.hold(no_node.RULE.message(self.situation))
        first, others = self._held[0][0], len(self._held) - 1
        if not others:
            return first
        more = "1 other place is held, too" if others == 1 else f"{others} other places are held, too"
        capacity = all(hold.capacity for hold, _ in self._held)
        return replace(first, message=f"{first.message}; {more}", capacity=capacity)

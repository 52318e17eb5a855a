"""Whole numbers as ranges, ``1,3-5``: the form in which a Job's status lists its indexes."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Indexes:
    """A set of whole numbers that takes little room where many follow one another."""

    ranges: tuple[tuple[int, int], ...] = ()
    """First and last of each, in order."""
    count: int = 0

    @classmethod
    def parse(cls, text: str) -> "Indexes":
        """Read ``1,3-5``; an empty text is an empty set.

        Raises:
            ValueError: the text is no such list, or not in order.
        """
        ranges: list[tuple[int, int]] = []
        for part in filter(None, text.split(",")):
            first, dash, last = part.partition("-")
            low, high = int(first), int(last if dash else first)
            if high < low or low < 0 or (ranges and low <= ranges[-1][1]):
                raise ValueError(f"expected ranges in order, such as 1,3-5: {text[:60]}")
            ranges.append((low, high))
        return cls(tuple(ranges), sum(high - low + 1 for low, high in ranges))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self.ranges, number, key=lambda each: each[0]) - 1
        return place >= 0 and number <= self.ranges[place][1]

    def at(self, place: int) -> int:
        """Return the number at a place in the order, from 0.

        Raises:
            IndexError: there are fewer.
        """
        for first, last in self.ranges:
            if place <= last - first:
                return first + place
            place -= last - first + 1
        raise IndexError(place)

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)

"""Whole numbers as ranges, ``1,3-5``: how clips are named on command lines, and indexes in a Job's status."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_RANGE = re.compile(r"([0-9]{1,12})(?:-([0-9]{1,12}))?")
"""Longer numbers are no clips, and their count could exceed what ``len()`` may return."""


@dataclass(frozen=True, slots=True)
class Indexes:
    """A set of whole numbers that takes little room where many follow one another."""

    ranges: tuple[tuple[int, int], ...] = ()
    """First and last of each, in order; no two of them touch."""
    count: int = 0

    @classmethod
    def parse(cls, text: str) -> "Indexes":
        """Read ``1,3-5``, in any order; an empty text is an empty set.

        Raises:
            ValueError: the text is no such list; the message says which part of it.
        """
        return cls._joined(map(_range, text.split(",")) if text else ())

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Indexes":
        """Return numbers as a set."""
        return cls._joined((number, number) for number in numbers)

    @classmethod
    def between(cls, first: int, last: int) -> "Indexes":
        """Return all numbers from the first to the last, both included."""
        return cls(((first, last),), last - first + 1)

    @classmethod
    def _joined(cls, ranges: Iterable[tuple[int, int]]) -> "Indexes":
        joined: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        return cls(tuple(joined), sum(last - first + 1 for first, last in joined))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = bisect_right(self.ranges, number, key=lambda each: each[0]) - 1
        return place >= 0 and number <= self.ranges[place][1]

    def without(self, others: "Indexes") -> "Indexes":
        """Return the numbers that are not among the others."""
        left: list[tuple[int, int]] = []
        holes = list(reversed(others.ranges))
        for first, last in self.ranges:
            while holes and holes[-1][1] < first:
                holes.pop()
            start = first
            for low, high in reversed(holes):
                if low > last:
                    break
                if low > start:
                    left.append((start, low - 1))
                start = high + 1
            if start <= last:
                left.append((start, last))
        return Indexes._joined(left)

    def both(self, other: "Indexes") -> "Indexes":
        """Return the numbers that are in both."""
        return self.without(self.without(other))

    def below(self, number: int) -> "Indexes":
        """Return the numbers that are less than this one."""
        last = self.ranges[-1][1] if self.ranges else -1
        return self if last < number else self.without(Indexes.between(number, last))

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


def compress(numbers: Iterable[int]) -> str:
    """Return ``1,3-5`` for [1, 3, 4, 5]."""
    return str(Indexes.of(numbers))


def _range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if match is None or int(match[1]) > int(match[2] or match[1]):
        raise ValueError(f'found "{text[:60]}", expected ranges such as 0-99,105')
    return int(match[1]), int(match[2] or match[1])

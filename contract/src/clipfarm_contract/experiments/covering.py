"""Whether exclusions leave any clip: by themselves, and several of them together.

A region is, for each factor, what is left of the values of its law. Beside one exclusion, a few smaller regions are
left of it. A region that no exclusion touches is left for clips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import TypeAlias

from clipfarm_contract.experiments.declaration import Declaration
from clipfarm_contract.experiments.exclusion import Exclusion, Span
from clipfarm_contract.experiments.laws import Choice, Law, Value

MOST_REGIONS = 300
"""Regions that are looked at. If there are more, some clip is taken to be left; if none is, the first one fails. The
operator checks every phase of every run, so a run that is made to take long has to be done within a second or so."""
MOST_WHOLE = 64
"""Whole numbers that a law may have and be taken one by one: as many as a list of values may have. Of more, an entry
that names some of them is taken to leave the others; what entries hold out by ``min`` and ``max`` is known exactly."""


@dataclass(frozen=True, slots=True)
class Between:
    """All values between two; its ends alone are no part of it, because no clip draws just them."""

    low: float
    high: float


Left: TypeAlias = frozenset[Value] | Between
"""Of the values of one factor."""
Region: TypeAlias = Mapping[str, Left]
"""What is left, by factor; and also what an exclusion holds out."""


def leaves_none(exclude: Sequence[Exclusion], declaration: Declaration, laws: Mapping[str, Law]) -> bool:
    """Return whether every clip with these laws is held out."""
    named = {name for each in exclude for name in each.factors}
    objects = declaration.object_factors()
    factors = [factor for factor in declaration.factors if factor.name in named or factor.name in objects]
    region: Region = {factor.name: _values(laws[factor.name], whole=factor.whole) for factor in factors}
    whole = {factor.name for factor in factors if factor.whole}
    # Of each exclusion the values that it holds out; one that holds none of some factor's touches nothing.
    entries = [held for each in exclude if (held := _held(each, objects, whole, region)) is not None]
    waiting, looked_at = [region], 0
    while waiting:
        region, looked_at = waiting.pop(), looked_at + 1
        if looked_at > MOST_REGIONS:
            return False
        touching = next((held for held in entries if _touches(held, region)), None)
        if touching is None:
            return False
        waiting += _beside(touching, region)
    return True


def _values(law: Law, *, whole: bool) -> Left:
    if isinstance(law, Choice):
        return frozenset(law.values)
    if law.min == law.max:
        return frozenset((law.min,))
    if not whole:
        return Between(law.min, law.max)
    if law.max - law.min < MOST_WHOLE:
        return frozenset(range(int(law.min), int(law.max) + 1))
    return Between(law.min - 0.5, law.max + 0.5)


def _held(exclusion: Exclusion, objects: Sequence[str], whole: set[str], region: Region) -> Region | None:
    """Return what an exclusion holds out, for each factor that it names; None if it holds out nothing of the region."""
    held: dict[str, Left] = {}
    if exclusion.objects:
        for name in objects:
            held[name] = _meet(region[name], frozenset(exclusion.objects))
    for name, span in exclusion.factors.items():
        held[name] = _within(span, region[name], whole=name in whole)
    return held if all(map(_is_some, held.values())) else None


def _within(span: Span, left: Left, *, whole: bool) -> Left:
    """Return the values that a condition holds."""
    if span.values or span.names:
        return _meet(left, frozenset((*span.values, *span.names)))
    if isinstance(left, Between):
        low = left.low if span.min is None else ceil(span.min) - 0.5 if whole else span.min
        high = left.high if span.max is None else floor(span.max) + 0.5 if whole else span.max
        return _meet(left, Between(low, high))
    numbers = (value for value in left if not isinstance(value, str))
    return frozenset(
        value
        for value in numbers
        if (span.min is None or value >= span.min) and (span.max is None or value <= span.max)
    )


def _is_some(left: Left) -> bool:
    return left.low < left.high if isinstance(left, Between) else bool(left)


def _meet(left: Left, other: Left) -> Left:
    """Return what two have in common. Some single values are nothing of all between two: no clip draws just them."""
    if isinstance(left, Between) and isinstance(other, Between):
        return Between(max(left.low, other.low), min(left.high, other.high))
    if isinstance(left, Between) or isinstance(other, Between):
        return frozenset()
    return left & other


def _touches(held: Region, region: Region) -> bool:
    return all(_is_some(_meet(region[name], values)) for name, values in held.items())


def _beside(held: Region, region: Region) -> list[Region]:
    """Return what is left of a region beside what is held out: disjoint regions, one or two for each factor."""
    found: list[Region] = []
    for name, values in held.items():
        inside = _meet(region[name], values)
        found += ({**region, name: outside} for outside in _outside(region[name], inside))
        region = {**region, name: inside}
    return found


def _outside(left: Left, inside: Left) -> list[Left]:
    if isinstance(left, Between) and isinstance(inside, Between):
        parts: list[Left] = [Between(left.low, inside.low), Between(inside.high, left.high)]
    else:
        assert isinstance(left, frozenset)
        assert isinstance(inside, frozenset)
        parts = [left - inside]
    return [part for part in parts if _is_some(part)]

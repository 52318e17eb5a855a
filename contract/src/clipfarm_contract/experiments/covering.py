"""Whether exclusions leave any clip: by themselves, and several of them together.

A region is, for each factor, what is left of the values of its law. Beside one exclusion, a few smaller regions are
left of it. A region that no exclusion touches is left for clips.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from clipfarm_contract.experiments.declaration import Declaration
from clipfarm_contract.experiments.exclusion import Exclusion, Span
from clipfarm_contract.experiments.laws import Choice, Law, Value

MOST_REGIONS = 300
"""Regions that are looked at. If there are more, some clip is taken to be left; if none is, the first one fails. The
operator checks every phase of every run, so a run that is made to take long has to be done within a second or so."""
MOST_WHOLE = 4_096
"""Whole numbers that a law may have and be taken one by one."""


@dataclass(frozen=True, slots=True)
class Between:
    """All values between two; its ends alone are no part of it, because no clip draws just them."""

    low: float
    high: float


Left: TypeAlias = tuple[Value, ...] | Between
"""Of the values of one factor."""


def leaves_none(exclude: Sequence[Exclusion], declaration: Declaration, laws: Mapping[str, Law]) -> bool:
    """Return whether every clip with these laws is held out."""
    named = {name for each in exclude for name in each.factors}
    objects = declaration.object_factors()
    region = {
        factor.name: _values(laws[factor.name], whole=factor.whole)
        for factor in declaration.factors
        if factor.name in named or factor.name in objects
    }
    waiting, looked_at = [region], 0
    while waiting:
        region, looked_at = waiting.pop(), looked_at + 1
        if looked_at > MOST_REGIONS:
            return False
        touching = next((each for each in exclude if _touches(each, objects, region)), None)
        if touching is None:
            return False
        waiting += _beside(touching, objects, region)
    return True


def _values(law: Law, *, whole: bool) -> Left:
    if isinstance(law, Choice):
        return tuple(dict.fromkeys(law.values))
    if law.min == law.max:
        return (law.min,)
    if whole and law.max - law.min < MOST_WHOLE:
        return tuple(range(int(law.min), int(law.max) + 1))
    return Between(law.min, law.max)


def _conditions(exclusion: Exclusion, objects: Sequence[str]) -> Iterator[tuple[str, Span | tuple[str, ...]]]:
    if exclusion.objects:
        yield from ((name, exclusion.objects) for name in objects)
    yield from exclusion.factors.items()


def _touches(exclusion: Exclusion, objects: Sequence[str], region: Mapping[str, Left]) -> bool:
    return all(_inside(region[name], condition) for name, condition in _conditions(exclusion, objects))


def _beside(exclusion: Exclusion, objects: Sequence[str], region: dict[str, Left]) -> Iterator[dict[str, Left]]:
    """Yield what is left of a region beside an exclusion: disjoint regions, one or two for each condition."""
    for name, condition in _conditions(exclusion, objects):
        yield from (region | {name: outside} for outside in _outside(region[name], condition))
        (region := dict(region))[name] = _inside(region[name], condition)[0]


def _inside(left: Left, condition: Span | tuple[str, ...]) -> tuple[Left, ...]:
    """Return what of some values a condition holds; nothing if it holds none that a clip may draw."""
    if not isinstance(left, Between):
        held = tuple(value for value in left if _holds(condition, value))
        return (held,) if held else ()
    if not isinstance(condition, Span) or condition.values or condition.names:
        return ()
    low = left.low if condition.min is None else max(left.low, condition.min)
    high = left.high if condition.max is None else min(left.high, condition.max)
    return (Between(low, high),) if low < high else ()


def _outside(left: Left, condition: Span | tuple[str, ...]) -> Iterator[Left]:
    if not isinstance(left, Between):
        if others := tuple(value for value in left if not _holds(condition, value)):
            yield others
        return
    (inside,) = _inside(left, condition)
    assert isinstance(inside, Between)
    if left.low < inside.low:
        yield Between(left.low, inside.low)
    if inside.high < left.high:
        yield Between(inside.high, left.high)


def _holds(condition: Span | tuple[str, ...], value: Value) -> bool:
    return condition.holds(value) if isinstance(condition, Span) else value in condition

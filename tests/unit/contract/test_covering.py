"""Exclusions that leave no clip are found, also where each of them leaves some; none is refused that leaves one."""

import itertools
import random

import pytest

from clipfarm.laws import MOST_VALUES
from clipfarm_contract.experiments import EXPERIMENTS, covering
from clipfarm_contract.experiments.covering import leaves_none
from clipfarm_contract.experiments.exclusion import Exclusion
from clipfarm_contract.experiments.laws import Choice, Law, Log, Uniform

DROP = EXPERIMENTS["drop"]


def leaves(exclude, laws):
    return not leaves_none([Exclusion.parse(each, "exclude") for each in exclude], DROP, {**DROP.defaults, **laws})


def of(**factors):
    return {"factors": factors}


COVERED: dict[str, tuple[list[dict], dict[str, Law]]] = {
    "the one object": ([{"objects": ["cube"]}], {}),
    "both halves": ([of(size={"max": 0.9}), of(size={"min": 0.9})], {}),
    "halves that overlap": ([of(size={"max": 1}), of(size={"min": 0.9})], {}),
    "three parts in any order": ([of(size={"min": 1}), of(size={"max": 0.8}), of(size={"min": 0.8, "max": 1})], {}),
    "each value": ([of(mass={"value": 1}), of(mass={"value": 2})], {"mass": Choice((1, 2))}),
    "a constant": ([of(mass={"values": [1, 3]})], {"mass": Uniform(1, 1)}),
    "whole numbers": ([of(bodies={"values": [1, 2]})], {"bodies": Uniform(1, 2)}),
    "whole numbers one by one": ([of(bodies={"value": 1}), of(bodies={"min": 2})], {"bodies": Uniform(1, 2)}),
    "many whole numbers": ([of(bodies={"max": 2000.5}), of(bodies={"min": 2001})], {"bodies": Uniform(1, 4000)}),
    "an object one way, and all others": (
        [{"objects": ["cube"], **of(mass={"max": 1})}, {"objects": ["cube", "cone"], **of(mass={"min": 1})},
         {"objects": ["cone"]}], {"object": Choice(("cube", "cone"))}),
    "four quarters": (
        [of(mass={"max": 1}, size={"max": 0.9}), of(mass={"max": 1}, size={"min": 0.9}),
         of(mass={"min": 1}, size={"max": 0.9}), of(mass={"min": 1}, size={"min": 0.9})], {}),
    "logarithmic": ([of(mass={"max": 2}), of(mass={"min": 1.5})], {"mass": Log(0.1, 10)}),
}  # fmt: skip
LEFT: dict[str, tuple[list[dict], dict[str, Law]]] = {
    "another object": ([{"objects": ["cube"]}], {"object": Choice(("cube", "cone"))}),
    "a gap": ([of(size={"max": 0.9}), of(size={"min": 0.91})], {}),
    "single values of a range": ([of(size={"values": [0.7, 0.9, 1.1]})], {}),
    "a bound alone": ([of(size={"max": 0.7}), of(size={"min": 1.1})], {}),
    "a corner": (
        [of(mass={"max": 1}, size={"max": 0.9}), of(mass={"max": 1}, size={"min": 0.9}),
         of(mass={"min": 1}, size={"max": 0.9})], {}),
    "a whole number": ([of(bodies={"value": 1}), of(bodies={"min": 3})], {"bodies": Uniform(1, 3)}),
    "one of many whole numbers": (
        [of(bodies={"max": 1999}), of(bodies={"min": 2001})], {"bodies": Uniform(1, 4000)}),
    "nothing is excluded": ([], {}),
}  # fmt: skip


@pytest.mark.parametrize(("exclude", "laws"), COVERED.values(), ids=COVERED)
def test_no_clip_is_left(exclude, laws):
    assert not leaves(exclude, laws)
    for fewer in itertools.combinations(exclude, len(exclude) - 1):
        assert leaves(fewer, laws), "each of them is needed"


@pytest.mark.parametrize(("exclude", "laws"), LEFT.values(), ids=LEFT)
def test_some_clip_is_left(exclude, laws):
    assert leaves(exclude, laws)


def test_it_agrees_with_trying_every_combination():
    rng, laws = random.Random(1), {name: Choice((1, 2, 3)) for name in ("mass", "size", "height")}
    found = set()
    for _ in range(300):
        exclude = [
            of(**{name: {"values": rng.sample((1, 2, 3), rng.randint(1, 3))} for name in rng.sample(list(laws), 2)})
            for _ in range(rng.randint(1, 9))
        ]
        parsed = [Exclusion.parse(each, "") for each in exclude]
        clips = (dict(zip(laws, values, strict=True)) for values in itertools.product((1, 2, 3), repeat=3))
        expected = any(not any(each.holds(values) for each in parsed) for values in clips)
        assert leaves(exclude, laws) == expected
        found.add(expected)
    assert found == {True, False}


def test_of_a_run_that_is_made_to_take_long_a_bounded_part_is_looked_at(monkeypatch):
    """Each entry splits every region in as many parts as it has conditions; the last one alone would hold out all."""
    rng, looked_at = random.Random(1), []
    touches = covering._touches
    monkeypatch.setattr(covering, "_touches", lambda *each: looked_at.append(1) or touches(*each))
    names, numbers = [factor.name for factor in DROP.factors if factor.least is not None][:10], range(64)
    exclude = [
        of(**{name: {"values": [v for v in numbers if rng.random() < 0.9]} for name in rng.sample(names, 5)})
        for _ in range(32)
    ]
    assert leaves(exclude, {name: Choice(tuple(numbers)) for name in names})
    assert len(looked_at) <= covering.MOST_REGIONS * len(exclude)


@pytest.mark.parametrize("law", [Uniform(1, covering.MOST_WHOLE), Uniform(0, 4_000), Choice(tuple(range(64)))])
def test_no_region_has_more_values_than_a_list_may_have(law):
    values = covering._values(law, whole=True)
    assert isinstance(values, covering.Between) or len(values) <= covering.MOST_WHOLE == MOST_VALUES

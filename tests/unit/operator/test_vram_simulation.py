"""The rules over time, on simulated GPUs: never above what there is by what was known, never stuck beside free."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipfarm_simulation.fleet import Fleet
from clipfarm_simulation.policies import Informed, NoGate, Oracle
from clipfarm_simulation.real_rules import Clipfarm
from clipfarm_simulation.runs import Party, Scenario
from clipfarm_simulation.simulate import simulate

WATCHED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

scenarios = st.builds(
    Scenario,
    name=st.just("any"),
    nodes=st.lists(st.tuples(st.integers(1, 3), st.sampled_from([10, 16, 24])), min_size=1, max_size=3).map(tuple),
    clips=st.integers(3, 20),
    workers=st.integers(1, 24),
    peak=st.floats(800.0, 7000.0),
    plateau=st.floats(0.4, 1.0),
    render_seconds=st.floats(5.0, 20.0),
    at_full_speed=st.floats(2.0, 8.0),
    collects=st.integers(1, 30).map(float),
    tells_age=st.booleans(),
    knows=st.sampled_from(["given", "learned", "nothing"]),
)


@settings(max_examples=15, **WATCHED)
@given(scenario=scenarios, seed=st.integers(0, 2**16))
def test_where_memory_is_free_every_clip_is_made(scenario, seed):
    result = simulate(scenario, seed, Clipfarm, steps=20_000)
    assert result.completed + result.failed == scenario.clips, "stuck"


@settings(max_examples=15, **WATCHED)
@given(scenario=scenarios, seed=st.integers(0, 2**16))
def test_clips_that_are_known_to_fill_a_gpu_never_ask_for_more_than_there_is(scenario, seed):
    """The run says what its largest clip takes, and nobody else is there: so no clip runs out of memory, ever."""
    largest = Scenario(**{**vars(scenario), "knows": "given"})
    sizes = []

    def watch(fleet, _policy):
        asked = [fleet.clips.peak[fleet.which[fleet.on == gpu]].sum() for gpu in range(len(fleet.gpus))]
        sizes.append(max(asked - fleet.sizes))

    result = simulate(largest, seed, Clipfarm, steps=20_000, watch=watch)
    assert result.out_of_memory == 0
    assert result.completed == scenario.clips


@settings(max_examples=10, **WATCHED)
@given(
    scenario=scenarios, seed=st.integers(0, 2**16), tenants=st.sampled_from(["steady", "steps", "bursts", "encoder"]),
    outages=st.sampled_from([0.0, 0.2]),
)  # fmt: skip
def test_a_run_beside_others_and_failing_exporters_comes_to_an_end(scenario, seed, tenants, outages):
    crowded = Scenario(**{**vars(scenario), "tenants": tenants, "outages": outages})
    result = simulate(crowded, seed, Clipfarm, steps=40_000)
    if tenants != "steady":  # who stays for ever may leave no room for one clip
        assert result.completed + result.failed == scenario.clips


def test_the_same_seed_is_the_same_run():
    scenario = Scenario("same", ((2, 24),), clips=60, workers=12, tenants="bursts", collects=7)
    first, second = (simulate(scenario, 3, Clipfarm) for _ in range(2))
    assert first == second
    assert simulate(scenario, 4, Clipfarm).trace != first.trace


@pytest.mark.parametrize("seed", range(3))
def test_what_it_is_compared_with_is_no_straw_man(seed):
    """An oracle loses nothing and is faster than the rules; no gate at all loses clips where they do not fit."""
    scenario = Scenario("crowd", ((2, 16),), clips=150, workers=24, tenants="steps", collects=5)
    oracle = simulate(scenario, seed, lambda fleet, _: Oracle(fleet, 1.0))
    rules = simulate(scenario, seed, Clipfarm)
    none = simulate(scenario, seed, lambda fleet, _: NoGate(fleet))
    assert oracle.out_of_memory == 0
    assert none.out_of_memory > 10 * max(1, rules.out_of_memory)
    assert oracle.per_hour > 0.9 * rules.per_hour


def test_a_policy_that_knows_all_but_sizes_is_no_faster_than_one_that_knows_them_and_loses_few_clips():
    """One that has to learn what a clip takes begins slowly."""
    scenario = Scenario("large", ((1, 16),), clips=150, workers=4, peak=5500.0, tenants="steady", collects=10)
    knows, learns = (
        simulate(scenario, 2, lambda fleet, _, learns=learns: Informed(fleet, 2.5, 0.85, 1.0, learns=learns))
        for learns in (False, True)
    )
    oracle = simulate(scenario, 2, lambda fleet, _: Oracle(fleet, 1.0))
    none = simulate(scenario, 2, lambda fleet, _: NoGate(fleet))
    assert knows.out_of_memory + learns.out_of_memory < none.out_of_memory / 10
    assert knows.completed + knows.failed == 150
    assert 0.7 * oracle.per_hour < learns.per_hour < knows.per_hour <= oracle.per_hour


def test_what_is_of_no_interest_any_more_is_cut_off():
    scenario = Scenario("crowd", ((1, 16),), clips=60, workers=24, tenants="steps", collects=5)

    def crowd(**limits):
        return simulate(scenario, 0, lambda fleet, _: NoGate(fleet), **limits)

    whole = crowd()
    assert whole.out_of_memory > 5
    assert crowd(most_lost=whole.out_of_memory, until=whole.seconds) == whole
    assert 0 < crowd(most_lost=0).out_of_memory < whole.out_of_memory
    assert crowd(until=50).seconds == 50


@pytest.mark.parametrize("kind", ["steady", "steps", "bursts", "encoder"])
def test_neighbours_take_ten_seconds_for_a_whole_gpu_and_reach_what_they_want(kind):
    scenario = Scenario("neighbours", ((2, 24), (1, 16)), clips=1, workers=1, tenants=kind)
    fleet = Fleet(scenario, 3, steps=4000)
    parts = fleet.tenants / fleet.sizes
    assert np.abs(np.diff(parts, axis=0)).max() <= 0.1 + 1e-6
    assert (np.diff(parts, axis=0) == 0).mean() > 0.7
    assert parts.min() >= 0
    assert parts.max() <= 0.9 + 1e-6


parties = st.builds(
    Party,
    clips=st.integers(2, 8),
    workers=st.integers(1, 8),
    peak=st.floats(800.0, 7000.0),
    plateau=st.floats(0.4, 1.0),
    render_seconds=st.floats(5.0, 20.0),
    priority=st.integers(1, 3),
    begins=st.sampled_from([0, 0, 30]),
    deleted=st.sampled_from([None, None, None, 60]),
)
shared = st.builds(
    Scenario,
    name=st.just("shared"),
    nodes=st.lists(st.tuples(st.integers(1, 2), st.sampled_from([10, 16, 24])), min_size=1, max_size=2).map(tuple),
    parties=st.lists(parties, min_size=1, max_size=10).map(tuple),
    collects=st.integers(1, 30).map(float),
    tells_age=st.booleans(),
    restart=st.sampled_from([None, 45]),
)


@settings(max_examples=12, **WATCHED)
@given(scenario=shared, seed=st.integers(0, 2**16))
def test_runs_that_share_gpus_never_ask_for_more_than_there_is(scenario, seed):
    """Each run says what its largest clip takes, nobody else is there: no clip runs out of memory, and all end."""
    said = replace(scenario, parties=tuple(replace(party, knows="given") for party in scenario.parties))

    def watch(fleet, _policy):
        asked = [fleet.clips.peak[fleet.which[fleet.on == gpu]].sum() for gpu in range(len(fleet.gpus))]
        assert (np.array(asked) <= fleet.sizes).all()

    result = simulate(said, seed, Clipfarm, steps=20_000, watch=watch)
    assert result.out_of_memory == 0
    for run in result.runs:
        assert run.party.deleted is not None or run.completed == run.party.clips, "starved"


@settings(max_examples=8, **WATCHED)
@given(scenario=shared, seed=st.integers(0, 2**16), knows=st.sampled_from(["learned", "nothing"]))
def test_runs_that_do_not_say_what_a_clip_takes_come_to_an_end(scenario, seed, knows):
    unsaid = replace(scenario, parties=tuple(replace(party, knows=knows) for party in scenario.parties))
    result = simulate(unsaid, seed, Clipfarm, steps=20_000)
    for run in result.runs:
        assert run.party.deleted is not None or run.completed + run.failed == run.party.clips, "stuck"


@pytest.mark.parametrize("knows", ["given", "learned"])
def test_a_run_whose_clips_fill_a_gpu_starts_beside_runs_of_small_ones(knows):
    """Small clips fit into each gap; what comes free is kept for the large one, so it waits for a few ends at most."""
    small = Party(600, 20, peak=1500.0, render_seconds=20.0, knows=knows)
    scenario = Scenario("gaps", ((1, 24),), parties=(small, Party(5, 2, peak=14_000.0, knows=knows, begins=120)))
    result = simulate(scenario, 0, Clipfarm, steps=3000)
    few, large = result.runs
    assert large.completed == 5
    assert large.longest_wait < 240
    assert few.completed + few.failed == 600


def test_runs_of_equal_size_get_on_alike_and_others_by_their_priority():
    equal = Scenario("equal", ((1, 40),), parties=(Party(60, 12),) * 3, collects=5)
    progress = [run.at_first_end for run in simulate(equal, 1, Clipfarm).runs]
    assert min(progress) > 0.8 * max(progress)
    weighted = Scenario("weighted", ((1, 40),), parties=(Party(60, 24), Party(180, 24, priority=3)), collects=5)
    one, three = (run.at_first_end for run in simulate(weighted, 1, Clipfarm).runs)
    assert 0.85 < three / one / 3 < 1.15

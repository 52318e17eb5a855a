"""The rules over time, on simulated GPUs: never above what there is by what was known, never stuck beside free."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipfarm_simulation.fleet import Scenario
from clipfarm_simulation.policies import Clipfarm, NoGate, Oracle, run_of
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


def farm(scenario):
    return lambda fleet, exporters: Clipfarm(fleet, exporters, run_of(scenario))


@settings(max_examples=15, **WATCHED)
@given(scenario=scenarios, seed=st.integers(0, 2**16))
def test_where_memory_is_free_every_clip_is_made(scenario, seed):
    result = simulate(scenario, seed, farm(scenario), steps=20_000)
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

    result = simulate(largest, seed, farm(largest), steps=20_000, watch=watch)
    assert result.out_of_memory == 0
    assert result.completed == scenario.clips


@settings(max_examples=10, **WATCHED)
@given(
    scenario=scenarios, seed=st.integers(0, 2**16), tenants=st.sampled_from(["steady", "steps", "bursts", "encoder"]),
    outages=st.sampled_from([0.0, 0.2]),
)  # fmt: skip
def test_a_run_beside_others_and_failing_exporters_comes_to_an_end(scenario, seed, tenants, outages):
    crowded = Scenario(**{**vars(scenario), "tenants": tenants, "outages": outages})
    result = simulate(crowded, seed, farm(crowded), steps=40_000)
    if tenants != "steady":  # who stays for ever may leave no room for one clip
        assert result.completed + result.failed == scenario.clips


def test_the_same_seed_is_the_same_run():
    scenario = Scenario("same", ((2, 24),), clips=60, workers=12, tenants="bursts", collects=7)
    first, second = (simulate(scenario, 3, farm(scenario)) for _ in range(2))
    assert first == second
    assert simulate(scenario, 4, farm(scenario)).trace != first.trace


@pytest.mark.parametrize("seed", range(3))
def test_what_it_is_compared_with_is_no_straw_man(seed):
    """An oracle loses nothing and is faster than the rules; no gate at all loses clips where they do not fit."""
    scenario = Scenario("crowd", ((2, 16),), clips=150, workers=24, tenants="steps", collects=5)
    oracle = simulate(scenario, seed, lambda fleet, _: Oracle(fleet, 1.0))
    rules = simulate(scenario, seed, farm(scenario))
    none = simulate(scenario, seed, lambda fleet, _: NoGate(fleet))
    assert oracle.out_of_memory == 0
    assert none.out_of_memory > 10 * max(1, rules.out_of_memory)
    assert oracle.per_hour > 0.9 * rules.per_hour

"""One ledger for all runs: whose clips claim how much where, whose turn it is, and what is kept for a run."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipfarm.decide.fair import FairOrder, take_turns
from clipfarm.decide.places import Places, rank
from clipfarm.decide.plan import Draft
from clipfarm.decide.vram.counts import Counts
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.ledger import Ledger
from clipfarm.decide.vram.others import NONE, of
from clipfarm.world import ClipMemory, Departed, Ended, Node, OtherRun, Running
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import GPU0, GPU1, NODE, make_run, make_world, reading

HERE = Node(NODE, 100, (GPU0, GPU1))
ONE = Node(NODE, 100, (GPU0,))
HIGH = 8500.0


def mib(size: float) -> str:
    return f"{int(size)}Mi"


def draft(name, size=None, running=(), *, nodes=(ONE,), used=None, waiting=20, workers=20, priority=1, **world):
    """Return a run on GPUs of 10,000 MiB; ``running`` has when clips began, all on the first GPU."""
    vram = {"perClip": mib(size)} if size else {}
    run = make_run(100, workers=workers, priority=priority, render={"device": "cuda"}, vram=vram)
    pods = tuple(Running(50 + n, NODE, GPU0, began) for n, began in enumerate(running))
    uses = {GPU0: 0.0} | (used or {})
    readings = tuple(reading(gpu, uses.get(gpu, 0.0) / 10_000) for node in nodes for gpu in node.gpus)
    base = {"nodes": nodes, "running": pods, "readings": readings, "waiting": tuple(range(waiting))}
    return Draft(name, run, make_world(run, **(base | world)))


def decide(*drafts):
    """Let runs take turns; return how many clips each starts on each GPU."""
    take_turns(drafts, Ledger(), drafts[0].world.now)
    plans = {each.name: each.plan() for each in drafts}
    return {
        name: [sum(start.gpu == gpu for start in plan.start) for gpu in (GPU0, GPU1)] for name, plan in plans.items()
    }


def holds(each):
    return [(held.hold.reason, held.hold.message) for held in each.plan().status.held]


def test_runs_that_start_together_share_what_one_would_have():
    assert decide(draft("a", 1000)) == {"a": [8, 0]}
    assert decide(draft("a", 1000), draft("b", 1000), draft("c", 1000)) == {"a": [3, 0], "b": [3, 0], "c": [2, 0]}


def test_a_clip_that_another_run_has_started_just_now_takes_room():
    young = draft("b", 1000, running=(999.0, 999.0), waiting=0)
    assert decide(draft("a", 1000), young) == {"a": [6, 0], "b": [0, 0]}
    shown = draft("b", 1000, running=(900.0, 900.0), waiting=0)
    assert decide(draft("a", 1000), shown) == {"a": [8, 0], "b": [0, 0]}


def test_priority_is_a_weight():
    assert decide(draft("a", 1000), draft("b", 1000, priority=3)) == {"a": [2, 0], "b": [6, 0]}


def test_a_run_with_larger_clips_gets_fewer_of_them():
    assert decide(draft("a", 500), draft("b", 2000)) == {"a": [9, 0], "b": [2, 0]}


def test_a_run_that_has_clips_at_work_waits_for_one_that_has_none():
    old = draft("a", 1000, running=(900.0,) * 4, used={GPU0: 4000.0})
    assert decide(old, draft("b", 1000)) == {"a": [0, 0], "b": [4, 0]}


def test_clips_of_all_runs_are_spread_over_the_gpus():
    first = draft("a", 1000, nodes=(HERE,), workers=3)
    assert decide(first, draft("b", 1000, nodes=(HERE,), workers=3)) == {"a": [3, 0], "b": [0, 3]}


def test_of_unequal_clips_the_room_that_comes_free_is_kept_for_the_smaller_share():
    """The large clip does not fit yet; small ones would fill each gap."""
    small = draft("ns/small", 1000, running=(900.0,) * 5, used={GPU0: 5000.0})
    large = draft("ns/large", 4000, used={GPU0: 5000.0})
    assert decide(small, large) == {"ns/small": [0, 0], "ns/large": [0, 0]}
    assert holds(small) == [
        (
            "FairShare",
            "GPU 0 on here: memory that comes free is kept for ns/large, which has a smaller share of the GPUs",
        )
    ]
    [(reason, _)] = holds(large)
    assert reason == "VRAMClaims"
    later = draft("ns/small", 1000, running=(900.0,) * 4, used={GPU0: 4000.0})
    assert decide(later, draft("ns/large", 4000, used={GPU0: 4000.0})) == {"ns/small": [0, 0], "ns/large": [1, 0]}


@pytest.mark.parametrize("used", [9500.0, 9000.0])
def test_nothing_is_kept_where_other_programs_are_in_the_way(used):
    """The GPU is closed by neighbours, no clip of another run is there: nothing that ends would make room."""
    small = draft("a", 500, nodes=(HERE,), used={GPU0: used, GPU1: 0.0}, workers=2)
    large = draft("b", 9900, nodes=(HERE,), used={GPU0: used, GPU1: 0.0})
    decide(large, small)
    assert all(reason != "FairShare" for reason, _ in holds(small))


def test_a_run_of_unknown_size_is_waited_for_until_a_reading_shows_it():
    young = draft("b", running=(999.0,), waiting=0)
    known = draft("a", 1000)
    assert decide(known, young) == {"a": [0, 0], "b": [0, 0]}
    assert holds(known)[0][1].startswith("GPU 0 on here: waits for a reading that shows 1 clip of other runs")
    # It shows, and bounds what the next ones take: 2,000 MiB are in use, so the one that is young takes no more.
    shown = draft("b", running=(900.0, 999.0), waiting=0, used={GPU0: 2000.0})
    assert decide(draft("a", 1000, used={GPU0: 2000.0}), shown) == {"a": [4, 0], "b": [0, 0]}


def test_runs_of_unknown_size_start_one_after_the_other_on_a_gpu():
    assert decide(draft("a"), draft("b")) == {"a": [1, 0], "b": [0, 0]}
    assert decide(draft("a", nodes=(HERE,)), draft("b", nodes=(HERE,))) == {"a": [1, 0], "b": [0, 1]}


MEMORY = ClipMemory(1000.0, 1000.0, 900.0, 50.0, 5.0, 100)


@pytest.mark.parametrize(("known", "neighbours"), [(MEMORY, 0.0), (None, 900.0)])
def test_clips_of_other_runs_that_begin_together_are_no_burst_of_neighbours(known, neighbours):
    """Clips that are known are no neighbours; of the others it is not known until their run has learned their size."""
    marks: dict = {}
    for step in range(12):
        now, used = 1000.0 + 5 * step, 2700.0 if step % 6 >= 4 else 900.0
        mine = draft("a", running=(100.0,), clip_memory=MEMORY, now=now, waiting=0, watermarks=marks)
        mine.world = replace(mine.world, readings=(replace(reading(GPU0, used / 10_000), at=now),))
        theirs = draft("b", running=(now - 40.0,) * (2 if used > 1000 else 0), clip_memory=known, now=now, waiting=0)
        theirs.world = replace(theirs.world, readings=mine.world.readings)
        mine, theirs = (Draft(each.name, each.run, each.world) for each in (mine, theirs))
        decide(mine, theirs)
        marks = mine.plan().watermarks
    found = marks[GPU0].neighbours
    assert not found.bursts
    assert found.most_mib == found.now_mib <= neighbours * 2 + 200.0


def test_a_clip_of_another_run_that_ends_frees_its_memory_at_once():
    gone = Departed(NODE, GPU0, 500.0, 999.0)
    memory = ClipMemory(1000.0, 1000.0, 900.0, 50.0, 5.0, 100)
    readings = (replace(reading(GPU0, 0.8), at=998.0),)
    theirs = draft("b", clip_memory=memory, waiting=0, departed=(gone,) * 2, running=(500.0,) * 5, readings=readings)
    assert decide(draft("a", 1000, readings=readings), theirs)["a"] == [2, 0]
    assert decide(draft("a", 1000, readings=readings))["a"] == [1, 0]  # and a GPU without clips may be filled


def test_a_run_of_another_process_counts_like_one_of_this():
    other = OtherRun("b", ClipMemory(1000.0, 1000.0, 900.0, 50.0, 5.0, 100), 30.0, (Running(0, NODE, GPU0, 999.0),) * 3)
    assert decide(draft("a", 1000, others=(other,))) == {"a": [5, 0]}
    assert decide(draft("a", 1000, others=(replace(other, clip=None),))) == {"a": [0, 0]}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"cpu": 1000}, {"cpu": 1000}, [2, 2]),
        ({"cpu": 3000}, {"cpu": 1000}, [1, 1]),  # of four, a clip of the first takes three
        ({"cpu": 1000}, {"memory": 5}, [4, 4]),  # what they request is not the same
        ({}, {}, [4, 4]),
    ],
)
def test_runs_share_the_room_of_a_node_within_a_tick(first, second, expected):
    node, asks = replace(ONE, room=4), [tuple(each.items()) for each in (first, second)]
    rooms = [4 * 1000 // dict(each).get("cpu", 1000) for each in asks]
    drafts = [
        draft(name, 100, nodes=(replace(node, room=room),), pod_requests=each)
        for name, each, room in zip("ab", asks, rooms, strict=True)
    ]
    assert [found[0] for found in decide(*drafts).values()] == expected


def test_a_run_that_leaves_the_ledger_leaves_nothing():
    ledger = Ledger()
    first, second = draft("a", 1000, running=(999.0,)), draft("b", 700, running=(999.0,) * 3)
    for each in (first, second, first):
        each.enter(ledger)
    assert ledger.on_gpu("a", ONE, GPU0).claimed == pytest.approx(2100.0)
    ledger.drop("b")
    assert ledger.on_gpu("a", ONE, GPU0) is NONE


def test_a_plan_lists_what_all_runs_claim_on_its_gpus():
    first, second = draft("ns/a", 1000, running=(999.0, 900.0), waiting=1), draft("ns/b", running=(990.0,), waiting=0)
    take_turns([first, second], Ledger(), first.world.now)
    [(gpu, claims)] = first.plan().claims.items()
    assert gpu == GPU0
    # The first run's second clip shows, and nothing starts beside a clip of unknown size.
    assert [(each.run, each.clips, each.mib, each.since) for each in claims] == [
        ("ns/b", 1, None, 990.0), ("ns/a", 1, 1000.0, 999.0),
    ]  # fmt: skip


def test_slices_share_the_clips_of_a_node_and_claims_are_rounded_up():
    found = of(Counts(pods=3, unseen=3), Expected(1000, 1000)).over(2)
    assert (found.pods, found.claimed) == (1.5, 2000.0)
    assert of(Counts(pods=3, unseen=3), None).over(2).unknown == 3


def test_a_run_on_cpus_claims_no_gpu():
    run = make_run(10, workers=4, render={"device": "cpu"})
    busy = Draft("a", run, make_world(run, nodes=(ONE,), running=(Running(1, NODE, None, 1.0),)))
    assert decide(draft("b", 1000), busy)["b"] == [8, 0]
    assert FairOrder([busy], {}).share(busy) == pytest.approx((1 + len(busy.plan().start)) / 100)


sizes = st.integers(200, 6000)
crowds = st.lists(
    st.tuples(sizes, st.lists(st.floats(900.0, 1000.0), max_size=3), st.integers(1, 12), st.integers(1, 5)),
    min_size=1, max_size=10,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(crowd=crowds, used=st.floats(0.0, 9500.0))
def test_no_start_takes_readings_and_claims_above_the_memory(crowd, used):
    drafts = [
        draft(str(n), size, tuple(began), waiting=20, workers=workers, priority=priority, used={GPU0: used})
        for n, (size, began, workers, priority) in enumerate(crowd)
    ]
    started = decide(*drafts)
    claims = clips = starts = 0
    for each, (size, began, *_) in zip(drafts, crowd, strict=True):
        young = sum(1000.0 - at < each.run.spec.vram.allocation_time for at in began)
        claims += (young + started[each.name][0]) * math.floor(size)
        clips += len(began) + started[each.name][0]
        starts += started[each.name][0]
    if starts:
        assert used + claims <= (HIGH if clips > 1 else 10_000.0)


@settings(max_examples=60, deadline=None)
@given(
    crowd=crowds,
    used=st.lists(st.floats(0.0, 9500.0), min_size=2, max_size=2),
    ended=st.floats(990.0, 1000.0),
    learned=st.sets(st.integers(0, 5)),
)
def test_a_place_comes_no_later_than_its_rank_before_it_is_looked_at(crowd, used, ended, learned):
    ledger, gone = Ledger(), (Departed(NODE, GPU0, 900.0, ended),)
    uses = dict(zip((GPU0, GPU1), used, strict=True))
    drafts = [
        draft(
            str(n),
            size,
            tuple(began),
            nodes=(HERE,),
            used=uses,
            departed=gone if n % 2 else (),
            clip_memory=LARGE if n in learned else None,
        )
        for n, (size, began, *_) in enumerate(crowd)
    ]
    for each in drafts:
        each.enter(ledger)
    for each in drafts:
        each.begin(ledger)
        places = Places(each.run, each.world, each.marks, each.counted, ledger, each.name)
        assert list(places.rest()) == []
        for fewest, positions in places.by_clips():
            for position in positions:
                (clips, use), same = places.at_most(position, each.per_clip)
                assert same == position
                found = rank(places.at(position), each.per_clip)
                assert fewest == clips == found[0]
                assert use <= found[1] + 1e-9
        assert sorted(position for _, some in places.by_clips() for position in some) == [(0, 0), (0, 1)]


def test_two_runs_may_forget_in_turn_clips_that_ended_long_ago():
    ledger, gone = Ledger(), {GPU0: Counts()}
    for name in ("a", "b"):
        ledger.put(name, (ONE,), gone, Expected(1000.0, 1000.0), {})
    for name in ("a", "b"):
        ledger.put(name, (ONE,), {}, Expected(1000.0, 1000.0), {})
    assert ledger.on_gpu("c", ONE, GPU0) == NONE


LARGE = ClipMemory(peak_mib=4000, mean_mib=3300, average_mib=2600, deviation_mib=400, allocated_after=5, clips=100)
RAN_OUT = Ended(7, ExitCode.OUT_OF_VRAM, "out of GPU memory", 900.0, attempts=1)


def large(name, on, *, limit=1, **world):
    """Return a run of large clips that has so many on each of two GPUs, on which two clips are in all."""
    run = make_run(100, workers=20, render={"device": "cuda"}, retry={"limit": limit})
    pods = [Running(50 + n, NODE, gpu, 900.0) for n, gpu in enumerate((GPU0,) * on[0] + (GPU1,) * on[1])]
    readings = (reading(GPU0, 0.52), reading(GPU1, 0.52))
    base = {"nodes": (HERE,), "running": tuple(pods), "readings": readings, "waiting": (), "clip_memory": LARGE}
    return Draft(name, run, make_world(run, **(base | world)))


@pytest.mark.parametrize(("tried_again", "limit", "expected"), [((), 1, [1, 1]), ((50,), 1, [0, 1]), ((), 0, [0, 0])])
def test_clips_of_other_runs_put_no_clip_at_risk_that_would_fail_for_good(tried_again, limit, expected):
    theirs = large("b", (2, 2), limit=limit, ran_out_before=frozenset(tried_again))
    assert decide(large("a", (0, 0), waiting=(1, 2)), theirs)["a"] == expected


@pytest.mark.parametrize("waiting", [(), (8,)])
def test_other_runs_leave_the_place_that_is_kept_for_a_clip_that_takes_no_risk(waiting):
    again = large("a", (2, 2), ended=(RAN_OUT,), ran_out_before=frozenset({7}), waiting=waiting)
    # The other run has the larger share, so it comes after the first.
    others = large("b", (0, 0), waiting=(1, 2, 3), running=[Running(n, "far", None, 900.0) for n in range(60, 70)])
    started = decide(again, others)
    assert sum(started["a"]) + sum(started["b"]) == 1, "one of the two GPUs is kept"

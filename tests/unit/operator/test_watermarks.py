"""Watermarks: a GPU stays closed or open between them, and unknown is not zero."""

import pytest

from clipfarm.decide.vram import watermarks
from clipfarm.decide.vram.counts import Counts
from clipfarm.decide.vram.expected import Expected
from clipfarm.world import Neighbours, Node, WatermarkState
from helpers.runs import GPU0, GPU1, make_run, make_world, reading

CLOSED, OPEN = WatermarkState(GPU0, True, None), WatermarkState(GPU0, False, None)


def update(run, world):
    return watermarks.update(run.spec.vram, world, {}, None)


def state(before=None, readings=(), now=1000.0, **spec):
    run = make_run(vram=spec)
    world = make_world(run, gpus=(GPU0,), readings=readings, now=now, watermarks={GPU0: before} if before else {})
    return update(run, world)[GPU0]


@pytest.mark.parametrize(
    ("before", "used", "closed"),
    [
        (None, 0.00, False),
        (None, 0.80, False),
        (None, 0.85, False),
        (None, 0.851, True),
        (OPEN, 0.84, False),
        (OPEN, 0.86, True),
        (CLOSED, 0.84, True),
        (CLOSED, 0.70, True),
        (CLOSED, 0.699, False),
        (CLOSED, 0.00, False),
        (CLOSED, 1.00, True),
    ],
)
def test_a_gpu_closes_above_high_opens_below_low_and_stays_between(before, used, closed):
    assert state(before, [reading(GPU0, used)]).closed is closed


@pytest.mark.parametrize(
    ("neighbours", "surely", "closed"),
    [(6900.0, 0.0, False), (7000.0, 0.0, True), (1000.0, 7000.0, True), (None, None, True)],
)
def test_a_gpu_that_the_runs_own_clips_closed_does_not_wait_for_low(neighbours, surely, closed):
    known = Neighbours(1000.0, ((1000.0, neighbours),), surely=surely) if neighbours is not None else None
    per_clip = Expected(1500.0, 1200.0, 900.0) if known else None
    run = make_run()
    before = WatermarkState(GPU0, True, None, neighbours=known)
    world = make_world(run, gpus=(GPU0,), readings=(reading(GPU0, 0.8),), watermarks={GPU0: before})
    assert watermarks.update(run.spec.vram, world, {}, per_clip)[GPU0].closed is closed


def test_the_watermarks_are_the_runs():
    assert state(None, [reading(GPU0, 0.55)], high=0.5, low=0.4).closed
    assert not state(CLOSED, [reading(GPU0, 0.55)], high=0.9, low=0.6).closed


@pytest.mark.parametrize(("before", "closed"), [(None, False), (OPEN, False), (CLOSED, True)])
def test_without_a_reading_a_gpu_is_unknown_and_stays_as_it_was(before, closed):
    found = state(before)
    assert (found.reading, found.closed, found.problem) == (None, closed, "no reading yet")


@pytest.mark.parametrize(("age", "known"), [(0, True), (59.9, True), (60.0, True), (60.1, False), (86400, False)])
def test_a_reading_older_than_stale_after_is_unknown(age, known):
    found = state(CLOSED, [reading(GPU0, 0.0, at=1000.0 - age)])
    assert (found.reading is not None) is known
    assert found.closed is not known  # never opened by an old zero


def test_the_problem_says_how_old_the_last_reading_is_and_what_the_driver_said():
    run = make_run()
    world = make_world(run, readings=(reading(GPU0, 0.1, at=700.0),), nodes=(Node("here", 8, (GPU0,), "NVML: gone"),))
    assert update(run, world)[GPU0].problem == "the last reading is 5m 00s old: NVML: gone"


def test_each_gpu_closes_by_itself():
    run = make_run()
    world = make_world(run, gpus=(GPU0, GPU1), readings=(reading(GPU0, 0.9), reading(GPU1, 0.1)))
    found = update(run, world)
    assert (found[GPU0].closed, found[GPU1].closed) == (True, False)


def test_a_gpu_that_left_with_its_node_is_forgotten():
    run = make_run()
    world = make_world(run, gpus=(GPU1,), watermarks={GPU0: CLOSED}, readings=(reading(GPU0, 0.9),))
    assert list(update(run, world)) == [GPU1]


@pytest.mark.parametrize(
    ("what", "own", "used", "before", "kept"),
    [
        ("nothing has happened", None, 0.3, {}, True),
        ("a clip of the run is there", Counts(pods=1), 0.3, {}, False),
        ("the GPU is closed", None, 0.3, {"closed": True}, False),
        ("neighbours kept it full", None, 0.3, {"kept_full_since": 900.0}, False),
        ("it is above the mark", None, 0.9, {}, False),
        ("no clip of the run fits", None, 0.7, {}, False),
        ("what a clip takes is known since", None, 0.3, {"neighbours": None}, False),
    ],
)
def test_a_gpu_that_was_not_read_again_keeps_its_state_where_nothing_can_have_changed(what, own, used, before, kept):
    run, found = make_run(vram={"perClip": "4000Mi"}), reading(GPU0, used)
    neighbours = Neighbours(found.at, ((found.at, used * 10_000),))
    known = WatermarkState(GPU0, reading=found, **({"closed": False, "neighbours": neighbours} | before))
    world = make_world(run, gpus=(GPU0,), readings=(found,), watermarks={GPU0: known})
    per_clip = Expected(4000, 4000, 3000, 5.0, given=True)
    after = watermarks.update(run.spec.vram, world, {GPU0: own} if own else {}, per_clip)[GPU0]
    assert (after is known) is kept, what
    again = make_world(
        run, gpus=(GPU0,), readings=(reading(GPU0, used, at=1001.0),), watermarks={GPU0: known}, now=1001.0
    )
    assert watermarks.update(run.spec.vram, again, {GPU0: own} if own else {}, per_clip)[GPU0] is not known

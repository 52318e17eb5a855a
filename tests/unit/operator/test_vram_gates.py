"""Gates: hysteresis between two watermarks, and unknown is not zero."""

import pytest

from clipfarm.decide import vram
from clipfarm.decide.expectation import Expected
from clipfarm.world import Gate, Node, Others
from helpers.runs import GPU0, GPU1, make_run, make_world, reading

CLOSED, OPEN = Gate(GPU0, True, None), Gate(GPU0, False, None)


def update(run, world):
    return vram.update(run.spec.vram, world, {}, None)


def gate(before=None, readings=(), now=1000.0, **spec):
    run = make_run(vram=spec)
    world = make_world(run, gpus=(GPU0,), readings=readings, now=now, gates={GPU0: before} if before else {})
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
def test_a_gate_closes_above_high_opens_below_low_and_stays_between(before, used, closed):
    assert gate(before, [reading(GPU0, used)]).closed is closed


@pytest.mark.parametrize(
    ("others", "surely", "closed"),
    [(6900.0, 0.0, False), (7000.0, 0.0, True), (1000.0, 7000.0, True), (None, None, True)],
)
def test_a_gate_that_the_runs_own_clips_closed_does_not_wait_for_low(others, surely, closed):
    known = Others(1000.0, ((1000.0, others),), surely=surely) if others is not None else None
    per_clip = Expected(1500.0, 1200.0, 900.0) if known else None
    run = make_run()
    before = Gate(GPU0, True, None, others=known)
    world = make_world(run, gpus=(GPU0,), readings=(reading(GPU0, 0.8),), gates={GPU0: before})
    assert vram.update(run.spec.vram, world, {}, per_clip)[GPU0].closed is closed


def test_the_watermarks_are_the_runs():
    assert gate(None, [reading(GPU0, 0.55)], high=0.5, low=0.4).closed
    assert not gate(CLOSED, [reading(GPU0, 0.55)], high=0.9, low=0.6).closed


@pytest.mark.parametrize(("before", "closed"), [(None, False), (OPEN, False), (CLOSED, True)])
def test_without_a_reading_a_gate_is_unknown_and_keeps_its_side(before, closed):
    found = gate(before)
    assert (found.reading, found.closed, found.problem) == (None, closed, "no reading yet")


@pytest.mark.parametrize(("age", "known"), [(0, True), (59.9, True), (60.0, True), (60.1, False), (86400, False)])
def test_a_reading_older_than_stale_after_is_unknown(age, known):
    found = gate(CLOSED, [reading(GPU0, 0.0, at=1000.0 - age)])
    assert (found.reading is not None) is known
    assert found.closed is not known  # never opened by an old zero


def test_the_problem_says_how_old_the_last_reading_is_and_what_the_driver_said():
    run = make_run()
    world = make_world(run, readings=(reading(GPU0, 0.1, at=700.0),), nodes=(Node("here", 8, (GPU0,), "NVML: gone"),))
    assert update(run, world)[GPU0].problem == "the last reading is 5m 00s old: NVML: gone"


def test_each_gpu_has_a_gate_of_its_own():
    run = make_run()
    world = make_world(run, gpus=(GPU0, GPU1), readings=(reading(GPU0, 0.9), reading(GPU1, 0.1)))
    gates = update(run, world)
    assert (gates[GPU0].closed, gates[GPU1].closed) == (True, False)


def test_the_gate_of_a_gpu_that_left_with_its_node_is_forgotten():
    run = make_run()
    world = make_world(run, gpus=(GPU1,), gates={GPU0: CLOSED}, readings=(reading(GPU0, 0.9),))
    assert list(update(run, world)) == [GPU1]

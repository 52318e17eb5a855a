"""From touches in single steps to collisions."""

import pytest

from clipfarm_render.scene.contacts import APART, Contacts, Touch

PAIR = ("body_0", "floor")


def touch(impulse, pair=PAIR, position=(0.0, 0.0, 0.0)):
    return Touch(pair, position, (0.0, 0.0, 1.0), impulse, (0.0, 0.0, impulse))


def collisions(steps, masses=None):
    """Of touches by step, with 80 steps a frame."""
    contacts = Contacts(masses or {"body_0": 1.0, "body_1": 4.0}, 80)
    for step in range(max(steps) + 1):
        contacts.add(step, steps.get(step, []))
    return contacts.collisions()


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param({100: [touch(2.0)]}, [(2, 2.0)], id="one touch, shown by the next frame"),
        pytest.param({79: [touch(2.0)]}, [(1, 2.0)], id="the last step before a frame is shown by it"),
        pytest.param({80: [touch(2.0)]}, [(2, 2.0)], id="the first step after a frame is shown by the next"),
        pytest.param(
            {100: [touch(2.0), touch(1.0)], 101: [touch(0.5)]}, [(2, 3.5)], id="several points and steps, one hit"
        ),
        pytest.param(
            {100: [touch(2.0)], 100 + APART: [touch(9.0)]}, [(2, 2.0)], id="what comes later is pressure, no hit"
        ),
        pytest.param(
            {100: [touch(2.0)], 101 + APART: [touch(1.0)]}, [(2, 2.0), (2, 1.0)], id="they parted and met again"
        ),
        pytest.param({step: [touch(0.5)] for step in range(200)}, [], id="what touches from the start rests"),
        pytest.param({100: [touch(0.09)]}, [], id="too slight for the body's mass"),
        pytest.param({100: [touch(0.0)]}, [], id="a touch without an impulse"),
        pytest.param({100: [touch(0.11, ("body_0", "body_1"))]}, [(2, 0.11)], id="the lighter of two bodies counts"),
    ],
)
def test_touches_become_collisions(steps, expected):
    assert [(each.frame, pytest.approx(each.impulse)) for each in collisions(steps)] == expected


def test_a_hit_lies_where_its_impulse_does():
    (hit,) = collisions({100: [touch(3.0, position=(1.0, 0.0, 0.0)), touch(1.0, position=(5.0, 4.0, 0.0))]})
    assert hit.position == pytest.approx((2.0, 1.0, 0.0))
    assert hit.normal == pytest.approx((0.0, 0.0, 1.0))
    assert hit.bodies == PAIR


def test_two_pairs_at_once_are_two_collisions_in_order():
    found = collisions({100: [touch(2.0)], 101: [touch(2.0, ("body_0", "body_1"))], 102: [touch(1.0)]})
    assert [each.bodies for each in found] == [PAIR, ("body_0", "body_1")]

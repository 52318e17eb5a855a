import numpy as np
import pytest

from clipfarm_render.picture import convex

SQUARE = np.array([(0, 0), (2, 0), (2, 2), (0, 2)], float)


def test_the_hull_of_a_cloud_has_its_outermost_points_and_turns_left():
    cloud = np.concatenate([SQUARE, np.random.default_rng(0).uniform(0, 2, (50, 2))])
    assert convex.hull(cloud).tolist() == SQUARE.tolist()


@pytest.mark.parametrize(
    ("point", "margin", "inside"),
    [((1, 1), 0, True), ((2, 1), 0, True), ((2.1, 1), 0, False), ((2.1, 1), 0.2, True), ((1, 1), -1.1, False)],
)
def test_a_point_lies_in_a_polygon_or_near_it(point, margin, inside):
    assert bool(convex.contains(SQUARE, np.array(point, float), margin)) is inside


def test_each_point_may_have_a_margin_of_its_own():
    points = np.array([(3.0, 1.0), (3.0, 1.0)])
    assert convex.contains(SQUARE, points, np.array([0.5, 1.5])).tolist() == [False, True]

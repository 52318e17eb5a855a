"""What the camera sees: in the picture, and behind nothing that stands still."""

import numpy as np
import pytest

from clipfarm_contract.experiments import EXPERIMENTS, looks
from clipfarm_render.experiments.occlude import HEIGHT, LANE, SCREEN, THICKNESS, screen
from clipfarm_render.scene import sight
from clipfarm_render.scene.camera import Camera

CAMERA = Camera(128)


@pytest.mark.parametrize(
    ("point", "seen"),
    [
        ((0, LANE, 0.4), False),  # on the lane, behind the screen
        ((0, SCREEN - 1, 0.4), True),  # before it
        ((0, SCREEN - THICKNESS / 2, 1), False),  # in it
        ((0, SCREEN - THICKNESS, 1), True),  # on its front
        ((-2.5, LANE, 0.4), True),  # beside it
        ((2.5, LANE, 0.4), True),
        ((0, SCREEN + 0.1, HEIGHT + 0.5), True),  # above it
        ((0, -40, 0), False),  # out of the picture
    ],
)
def test_a_point_is_seen_beside_the_screen_and_before_it(point, seen):
    assert sight.sees(CAMERA, [screen(2.4)], np.array([point], np.float64)).tolist() == [seen]


def test_without_fixtures_all_that_is_in_the_picture_is_seen():
    assert sight.sees(CAMERA, [], np.array([(0, LANE, 0.4), (0, 0, 30.0)])).tolist() == [True, False]


def test_from_the_side_the_screen_hides_less():
    aside = Camera(128, looks.position(60, 30, looks.DISTANCE))
    behind = np.array([(x, LANE, 0.4) for x in np.linspace(-1, 1, 9)])
    hidden = [(~sight.sees(camera, [screen(2.4)], behind)).sum() for camera in (CAMERA, aside)]
    assert hidden[0] > hidden[1]
    assert "width" in EXPERIMENTS["occlude"].by_name

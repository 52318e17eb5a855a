import numpy as np
import pytest

from clipfarm_contract.experiments import looks
from clipfarm_render.scene import arena
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.kubric_compat import kb

POINTS = np.array([(0, 0, 0), (1, 2, 0.5), (-3, -4, 1.5), (4.2, 4.2, 0)], np.float64)


def test_the_target_lies_in_the_middle_of_the_picture():
    assert Camera(256).project(np.zeros((1, 3)))[0] == pytest.approx((128, 128))


def test_right_is_right_and_up_is_up():
    right, higher = Camera(256).project(np.array([(1.0, 0, 0), (0, 0, 1.0)]))
    assert right[0] > 128
    assert higher[1] < 128


def test_it_looks_down_at_45_degrees_from_14_metres():
    position = np.array(Camera(256).position)
    assert np.linalg.norm(position) == pytest.approx(14)
    assert np.degrees(np.arcsin(position[2] / 14)) == pytest.approx(45)


@pytest.mark.parametrize("place", [(0, 45, 14), (30, 45, 14), (-120, 70, 16), (180, 35, 20)])
def test_it_agrees_with_kubrics_own_camera(place):
    ours = Camera(256, looks.position(*place))
    scene = kb.Scene(resolution=(256, 256))
    theirs = kb.PerspectiveCamera(
        position=ours.position,
        look_at=ours.target,
        focal_length=ours.focal_length_mm,
        sensor_width=ours.sensor_width_mm,
    )
    scene.camera = theirs
    expected = [256 * theirs.project_point(point)[:2] for point in POINTS]
    assert ours.project(POINTS) == pytest.approx(np.array(expected), abs=1e-3)


def test_the_largest_cube_is_in_view_wherever_it_fits_into_the_arena():
    half, height = arena.HALF_SIZE, 1.5
    corners = np.array([(x, y, z) for x in (-half, half) for y in (-half, half) for z in (0, height)])
    seen = Camera(256).project(corners)
    assert seen.min() >= 0
    assert seen.max() <= 256


def test_a_pixel_and_its_depth_lead_back_to_the_point():
    camera = Camera(256)
    depth = -((POINTS - camera.pose[:3, 3]) @ camera.pose[:3, 2])
    assert camera.unproject(camera.project(POINTS), depth) == pytest.approx(POINTS, abs=1e-9)

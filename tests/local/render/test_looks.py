"""Clips of one run with different looks."""

import json

import numpy as np
import pytest

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_render.picture.boxes import Box
from clipfarm_render.picture.cycles import CyclesRenderer
from clipfarm_render.scene import stage
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.look import Look
from helpers.experiments import PUSH, TINY

from .conftest import Supervisor
from .test_same_bytes import hashes

pytestmark = pytest.mark.blender
CACHED = TINY | {"background": "cached"}
COUNT = 3


def looking(**factors):
    return CACHED | {"phases": [PUSH["phases"][0] | {"factors": factors}]}


AROUND = looking(cameraAzimuth={"values": [0, 40]}, cameraDistance={"values": [14, 14]})


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    ended = Supervisor(tmp_path_factory.mktemp("plain"))(count=COUNT, seed=1, experiment=CACHED)
    assert ended.code == ExitCode.OK, ended.lines
    return ended.run


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    ended = Supervisor(tmp_path_factory.mktemp("around"))(count=COUNT, seed=1, experiment=AROUND)
    assert ended.code == ExitCode.OK, ended.lines
    return ended.run


def truth(run, index):
    return json.loads(run.clip(index).ground_truth.read_text())


def rgb(run, index):
    return {name: value for name, value in hashes(run.clip(index)).items() if name.startswith("rgb/")}


def test_a_background_is_kept_for_each_look(plain, around):
    assert len(list(plain.cache.glob("*.npz"))) == 1
    assert len(list(around.cache.glob("*.npz"))) == 2


def test_a_clip_that_draws_the_usual_look_has_the_pictures_of_before_and_others_have_the_same_physics(plain, around):
    angles = [truth(around, index)["factors"]["cameraAzimuth"] for index in range(COUNT)]
    assert set(angles) == {0, 40}
    for index, angle in enumerate(angles):
        assert (rgb(plain, index) == rgb(around, index)) == (angle == 0)
        assert np.load(plain.clip(index).states).tolist() == np.load(around.clip(index).states).tolist()
        pose = np.array(truth(around, index)["camera"]["pose"])
        assert np.degrees(np.arctan2(pose[0, 3], -pose[1, 3])) == pytest.approx(angle)


def test_a_clip_made_alone_has_the_bytes_of_the_one_that_follows_another_look(around, tmp_path):
    angles = [truth(around, index)["factors"]["cameraAzimuth"] for index in range(COUNT)]
    index = next(index for index in range(1, COUNT) if angles[index] != angles[index - 1])
    alone = Supervisor(tmp_path)(index=index, seed=1, experiment=AROUND)
    assert alone.code == ExitCode.OK, alone.lines
    assert hashes(alone.run.clip(index)) == hashes(around.clip(index))


def test_a_look_that_no_other_clip_has_is_not_kept(tmp_path):
    ended = Supervisor(tmp_path)(experiment=looking(cameraAzimuth={"min": 10, "max": 40}))
    assert ended.code == ExitCode.OK, ended.lines
    assert list(ended.run.cache.glob("*.npz")) == []
    assert ended.result(0).seconds["background"] > 0


def picture(tmp_path, values):
    """Render what stands still with a look, (height, width, 3) linear light."""
    made = stage.seen(stage.build([], Camera(64), 4, 30), Look.of(values, 64))
    return CyclesRenderer(made, 16, 2, "cpu", tmp_path).render_box(Box(0, 0, 64, 64), 16)


def test_light_and_floor_change_the_picture(tmp_path):
    usual = picture(tmp_path, {})
    bright, dark, turned, planks = (
        picture(tmp_path, values)
        for values in ({"lightIntensity": 1.5}, {"lightIntensity": 0.25}, {"lightAzimuth": 180}, {"floor": "planks"})
    )
    assert dark.mean() < 0.6 * usual.mean() < usual.mean() < 0.8 * bright.mean()
    middle = slice(24, 40)
    assert np.abs(turned - usual).mean() > 0.05 * usual.mean(), "the walls' shadows are elsewhere"
    assert turned[middle, middle].mean() == pytest.approx(usual[middle, middle].mean(), rel=0.05)
    red, _, blue = planks[middle, middle].mean(axis=(0, 1)) / usual[middle, middle].mean(axis=(0, 1))
    assert red > 1.4 * blue, "wood is brown"

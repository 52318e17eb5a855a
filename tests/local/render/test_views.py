"""Further views of a clip: the same physics from other cameras."""

import json

import numpy as np
import pytest
from PIL import Image

from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.examining import damage
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_render.scene.camera import Camera
from helpers.experiments import PUSH, TINY

from .conftest import Supervisor
from .test_same_bytes import hashes

pytestmark = pytest.mark.blender
CACHED = TINY | {"background": "cached"}
SIDE = {"name": "side", "camera": {"azimuth": 90, "distance": 16}, "layers": ["rgb", "depth", "segmentation"]}
FACTORS = {"cameraAzimuth": {"value": 90}, "cameraDistance": {"value": 16}}


def made(folder, **changes):
    ended = Supervisor(folder)(experiment=CACHED | changes)
    assert ended.code == ExitCode.OK, ended.lines
    return ended.run


@pytest.fixture(scope="module")
def viewed(tmp_path_factory):
    return made(tmp_path_factory.mktemp("viewed"), views=[SIDE])


def below(clip, folder):
    return {name.removeprefix(folder): value for name, value in hashes(clip).items() if name.startswith(folder)}


def test_a_view_lies_beside_the_clips_own_frames_which_are_those_of_a_run_without_views(viewed, tmp_path):
    clip = viewed.clip(0)
    assert damage(clip) == []
    files = ClipManifest.read(clip.manifest).files
    folders = {name.rpartition("/")[0] for name in files if name.startswith("views/")}
    assert folders == {"views/side", *(f"views/side/{layer}" for layer in SIDE["layers"])}
    plain = made(tmp_path)
    for folder in ("rgb/", "actions_states/", "preview"):
        assert below(clip, folder) == below(plain.clip(0), folder)
    assert below(clip, "preview") != below(clip, "views/side/preview")
    assert len(list(viewed.cache.glob("*.npz"))) == 2


def test_a_view_shows_what_a_clip_with_that_camera_shows(viewed, tmp_path):
    seen = made(tmp_path, phases=[PUSH["phases"][0] | {"factors": FACTORS}])
    assert below(viewed.clip(0), "views/side/rgb/") == below(seen.clip(0), "rgb/")


def test_a_view_records_its_camera_and_its_layers_follow_it(viewed):
    clip = viewed.clip(0)
    truth = json.loads(clip.ground_truth.read_text())
    [said] = truth["views"]
    assert (said["name"], said["layers"]) == ("side", SIDE["layers"])
    assert said["camera"]["pose"] != truth["camera"]["pose"]
    camera, places = Camera.parse(said["camera"], 64), np.array(truth["object"]["trajectory"]["positions"])
    for frame, (column, row) in enumerate(camera.project(places).astype(int)):
        assert np.asarray(Image.open(clip.view("side").layer("segmentation", frame)))[row, column] == 1
        depth = np.load(clip.view("side").layer("depth", frame))[row, column].astype(float)
        point = camera.unproject(np.array([column + 0.5, row + 0.5]), depth)
        assert np.linalg.norm(point - places[frame]) < truth["object"]["size"]


def test_full_frames_have_views_too(tmp_path):
    run = made(tmp_path, background="full", views=[{"name": "top", "camera": {"elevation": 80, "distance": 15}}])
    assert damage(run.clip(0)) == []
    assert len(list(run.clip(0).view("top").rgb.iterdir())) == CACHED["frames"]

"""A group with a violation, rendered: what is equal to the last byte."""

import json

import pytest

from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.exit_codes import ExitCode

from .conftest import Supervisor

pytestmark = pytest.mark.blender
FRAMES = 8
SWAPPED = {
    "name": "drop",
    "frames": FRAMES,
    "fps": 12,
    "resolution": 48,
    "samplesPerPixel": 2,
    "layers": ["rgb", "segmentation", "flow"],
    "objects": ["cube", "sphere"],
    "preview": False,
    "background": "cached",
    "violations": {"kinds": ["shape"], "at": {"min": 4, "max": 4}},
    "phases": [{"name": "any", "clips": {"start": 0, "end": 7}, "factors": {"bodies": {"value": 2}}}],
}


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    ended = Supervisor(tmp_path_factory.mktemp("group"))(count=4, threads=1, experiment=SWAPPED, seed=2)
    assert ended.code == ExitCode.OK, ended.lines
    return [ended.run.clip(index) for index in range(4)]


def frames(clip, layer, first, end):
    return [clip.layer(layer, frame).read_bytes() for frame in range(first, end)]


@pytest.mark.parametrize("layer", SWAPPED["layers"])
def test_before_the_change_an_impossible_clip_has_the_bytes_of_its_possible_twin(group, layer):
    first, second, third, fourth = (frames(clip, layer, 0, 4) for clip in group)
    assert third == first
    assert fourth == second
    assert first != second, "they show different objects"


def test_after_it_the_pixels_are_those_of_the_other_possible_clip(group):
    first, second, third, fourth = (frames(clip, "rgb", 4, FRAMES) for clip in group)
    assert third == second
    assert fourth == first


def test_clip_json_says_which_laws_hold(group):
    laws = [ClipManifest.read(clip.manifest).checks["laws"] for clip in group]
    assert [found["broken"] for found in laws][:2] == [[], []]
    assert all("identity" in found["broken"] for found in laws[2:])
    said = [json.loads(clip.ground_truth.read_text())["violation"] for clip in group]
    assert [(each["member"], each["possible"], each["frame"]) for each in said] == [
        (0, True, 4),
        (1, True, 4),
        (2, False, 4),
        (3, False, 4),
    ]


def test_one_clip_of_a_group_made_again_alone_has_the_same_bytes(group, tmp_path):
    alone = Supervisor(tmp_path)(index=2, threads=1, experiment=SWAPPED, seed=2)
    assert alone.code == ExitCode.OK, alone.lines
    assert alone.run.clip(2).manifest.read_bytes() == group[2].manifest.read_bytes()

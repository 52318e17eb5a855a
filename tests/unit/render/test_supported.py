import json

import pytest

from clipfarm_contract.experiments.reading import Declared
from clipfarm_contract.fields import ContractError
from clipfarm_render.supervising.supported import refuse_unsupported
from helpers.experiments import PUSH

SHAPES = "cube, sphere, cylinder, cone or torus"
LAYERS = "rgb, segmentation, flow, depth, normal or object_coordinates"


def refusal(change):
    document = json.loads(json.dumps(PUSH))
    change(document)
    with pytest.raises(ContractError) as raised:
        refuse_unsupported(Declared.from_json(json.dumps(document)))
    return str(raised.value)


def test_the_push_experiment_is_supported():
    refuse_unsupported(Declared.from_json(json.dumps(PUSH)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "fall", 'experiment.name: found "fall", expected push, drop, collide, ramp, occlude or stack'),
        ("layers", ["rgb", "heat"], f'experiment.layers: found "heat", expected {LAYERS}'),
        ("layers", ["flow"], "experiment.layers: found ['flow'], expected rgb among them"),
        ("objects", ["cube", "egg"], f'experiment.objects: found "egg", expected {SHAPES}, or an asset of'
         " experiment.assets"),
        ("objects", [], f"experiment.objects: found [], expected {SHAPES}"),
        ("background", "blue", 'experiment.background: found "blue", expected cached or full'),
        ("assets", {"manifest": "/dev/zero"}, "experiment.assets.manifest: /dev/zero: not a regular file"),
        ("assets", {"manifest": "/no/such.json"}, "experiment.assets.manifest: /no/such.json cannot be read: No such"
         " file or directory"),
        ("frames", 1, "experiment.frames: found 1, expected 2 or more"),
        ("fps", 25, "experiment.fps: found 25, expected a divisor of 240, the rate of the physics"),
        ("fps", 0, "experiment.fps: found 0, expected a divisor of 240, the rate of the physics"),
        ("resolution", 8, "experiment.resolution: found 8, expected 16 to 4096"),
        ("samplesPerPixel", 0, "experiment.samplesPerPixel: found 0, expected 1 or more"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_by_its_field(field, value, message):
    assert refusal(lambda document: document.update({field: value})) == message


@pytest.mark.parametrize(
    ("at", "expected"), [(-1, "0 or more"), (15, "14 or less, so that 1 of the 16 frames comes after it")]
)
def test_a_push_needs_a_frame_before_and_one_after(at, expected):
    message = refusal(lambda document: document["impulse"].update(atFrame=at))
    assert message == f"experiment.phases[0].atFrame: found {at}, expected {expected}"


@pytest.mark.parametrize(
    ("field", "bounds", "message"),
    [
        ("friction", {"min": -1, "max": 0.5}, "friction: found -1 to 0.5, expected 0 to 1"),
        ("friction", {"min": 0.5, "max": 1.5}, "friction: found 0.5 to 1.5, expected 0 to 1"),
        ("mass", {"min": 0, "max": 1}, "mass: found 0 to 1, expected more than 0 kg"),
    ],
)
def test_a_phase_no_body_can_have_is_refused(field, bounds, message):
    found = refusal(lambda document: document["phases"][0].update({field: bounds}))
    assert found == f"experiment.phases[0].{message}"


MANIFEST = {"assets": {"teapot": {"asset_type": "FileBasedObject"}, "brick": {"asset_type": "Texture"}}}


def asked_of(tmp_path, text, objects, **more):
    path = tmp_path / "assets.json"
    path.write_text(text)
    change = {"objects": objects, "assets": {"manifest": str(path)} | more}
    return path, lambda document: document.update(change)


def test_an_asset_that_the_manifest_lists_is_supported(tmp_path):
    _, change = asked_of(tmp_path, json.dumps(MANIFEST), ["cube", "teapot"])
    document = json.loads(json.dumps(PUSH))
    change(document)
    refuse_unsupported(Declared.from_json(json.dumps(document)))


@pytest.mark.parametrize(
    ("text", "objects", "message"),
    [
        (
            json.dumps(MANIFEST),
            ["teapto"],
            'objects: found "teapto", which {path} does not list (did you mean teapot?)',
        ),
        (json.dumps(MANIFEST), ["brick"], 'objects: "brick" is a Texture, expected a FileBasedObject'),
        ("{", ["teapot"], "assets.manifest: {path} is no manifest of Kubric's"),
        ("[]", ["teapot"], "assets.manifest: {path} is no manifest of Kubric's"),
    ],
)
def test_an_asset_that_cannot_be_had_is_refused_before_anything_starts(tmp_path, text, objects, message):
    path, change = asked_of(tmp_path, text, objects)
    assert refusal(change) == "experiment." + message.format(path=path)


def test_a_manifest_with_another_hash_than_the_one_asked_for_is_refused(tmp_path):
    path, change = asked_of(tmp_path, json.dumps(MANIFEST), ["teapot"], sha256="0" * 64)
    assert refusal(change).startswith(f"experiment.assets.sha256: {path} is another file, of sha256 ")

import json

import pytest

from clipfarm_contract.experiment import Experiment
from clipfarm_contract.fields import ContractError
from clipfarm_render.physics import STEP_RATE
from clipfarm_render.supported import STEP_RATE as SUPPORTED_STEP_RATE
from clipfarm_render.supported import refuse_unsupported

GOOD = {
    "name": "push",
    "frames": 32,
    "fps": 30,
    "resolution": 256,
    "samplesPerPixel": 64,
    "layers": ["rgb"],
    "objects": ["cube"],
    "impulse": {"min": 12, "max": 13, "atFrame": 1},
    "preview": True,
    "phases": [
        {
            "name": "A1",
            "clips": {"start": 0, "end": 9},
            "friction": {"min": 0.5, "max": 0.9},
            "mass": {"min": 0.5, "max": 3},
        }
    ],
}


def refusal(change):
    document = json.loads(json.dumps(GOOD))
    change(document)
    with pytest.raises(ContractError) as raised:
        refuse_unsupported(Experiment.from_json(json.dumps(document)))
    return str(raised.value)


def test_the_push_experiment_is_supported():
    refuse_unsupported(Experiment.from_json(json.dumps(GOOD)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "fall", 'experiment.name: found "fall", expected push'),
        ("layers", ["rgb", "flow"], 'experiment.layers: found "flow", expected rgb'),
        ("layers", [], "experiment.layers: found [], expected rgb"),
        ("objects", ["cube", "torus"], 'experiment.objects: found "torus", expected cube'),
        ("frames", 1, "experiment.frames: found 1, expected 2 or more"),
        ("fps", 25, "experiment.fps: found 25, expected a divisor of 240, the rate of the physics"),
        ("fps", 0, "experiment.fps: found 0, expected a divisor of 240, the rate of the physics"),
        ("resolution", 8, "experiment.resolution: found 8, expected 16 to 4096"),
        ("samplesPerPixel", 0, "experiment.samplesPerPixel: found 0, expected 1 or more"),
    ],
)
def test_what_cannot_be_made_is_refused_by_its_field(field, value, message):
    assert refusal(lambda document: document.update({field: value})) == message


@pytest.mark.parametrize("at", [-1, 31])
def test_a_push_needs_a_frame_before_and_one_after(at):
    message = refusal(lambda document: document["impulse"].update(atFrame=at))
    assert message == f"experiment.impulse.atFrame: found {at}, expected 0 to 30, so that motion can follow"


@pytest.mark.parametrize(
    ("field", "bounds", "message"),
    [
        ("friction", {"min": -1, "max": 0.5}, "friction: found -1 to 0.5, expected 0 to 1"),
        ("friction", {"min": 0.5, "max": 1.5}, "friction: found 0.5 to 1.5, expected 0 to 1"),
        ("mass", {"min": 0, "max": 1}, "mass.min: found 0, expected more than 0"),
    ],
)
def test_a_phase_no_body_can_have_is_refused(field, bounds, message):
    found = refusal(lambda document: document["phases"][0].update({field: bounds}))
    assert found == f"experiment.phases[0].{message}"


def test_both_spellings_of_the_step_rate_agree():
    assert SUPPORTED_STEP_RATE == STEP_RATE

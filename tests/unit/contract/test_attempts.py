"""What a clip's result keeps of its attempts."""

import json

import pytest

from clipfarm_contract.attempts import Attempts
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError, dump
from clipfarm_contract.result import ClipResult

RESULT = ClipResult(3, ExitCode.OUT_OF_VRAM, "GPU memory ran out", {"total": 1.0}, 0.5, 100.0)


@pytest.mark.parametrize("attempts", [None, Attempts("3f1a", 0), Attempts("3f1a", 2)])
def test_a_result_keeps_them_and_one_of_before_has_none(tmp_path, attempts):
    path = tmp_path / "clip_00003.json"
    made = RESULT.to_json() | ({"attempts": attempts.to_json()} if attempts else {})
    path.write_text(dump(made))
    read = ClipResult.read(path)
    assert read.attempts == attempts
    assert read.to_json() == made


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        ({"ranOut": -1}, "clip.json.attempts.ranOut: found -1, expected 0 or more"),
        ({"job": ""}, 'clip.json.attempts.job: found "", expected 1 to 253 characters'),
        ({"ranOut": "two"}, 'clip.json.attempts.ranOut: found "two", expected a whole number'),
    ],
)
def test_a_count_that_cannot_be_is_refused_and_not_taken_for_zero(tmp_path, odd, problem):
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(RESULT.to_json() | {"attempts": {"job": "3f1a", "ranOut": 1} | odd}))
    with pytest.raises(ContractError) as refused:
        ClipResult.read(path)
    assert str(refused.value) == problem

"""Whether a clip has the features that are wanted: told without NumPy, of files that NumPy has written."""

import json

import numpy as np
import pytest

from clipfarm_contract import npy
from clipfarm_contract.features import State, Wanted, inspect
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip

WANTED = Wanted("m", "float16", 256)
SIDECAR = {
    "model": "m",
    "weights": {"source": "vitl.pt", "sha256": "ab" * 32, "key": "target_encoder"},
    "dtype": "float16",
    "preprocessing": {"resize": 292, "crop": 256},
}


@pytest.fixture
def clip(tmp_path):
    """A clip with features."""
    clip = Clip(tmp_path / "clip_00000")
    clip.features("m").parent.mkdir(parents=True)
    np.save(clip.features("m"), np.zeros((8, 3), np.float16))
    clip.features_sidecar("m").write_text(json.dumps(SIDECAR))
    return clip


def test_a_clip_without_features_needs_some(tmp_path):
    assert inspect(Clip(tmp_path), WANTED) == (State.ABSENT, "")


@pytest.mark.parametrize("cut", [1, 48, 60, 170, 176])
def test_an_array_that_was_cut_short_counts_as_none(clip, cut):
    path = clip.features("m")
    path.write_bytes(path.read_bytes()[:-cut])
    assert inspect(clip, WANTED) == (State.ABSENT, "")


def test_an_array_with_something_after_it_counts_as_none(clip):
    with clip.features("m").open("ab") as file:
        file.write(b"x")
    assert inspect(clip, WANTED) == (State.ABSENT, "")


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({}, None),
        ({"sha256": "ab" * 32}, None),
        ({"source": "vitl.pt"}, None),
        ({"source": "copy.pt"}, "weights.source vitl.pt instead of copy.pt"),
        ({"sha256": "cd" * 32}, "weights.sha256 abababababab... instead of cdcdcdcdcdcd..."),
        ({"key": "encoder"}, "weights.key target_encoder instead of encoder"),
        ({"dtype": "float32"}, "dtype float16 instead of float32"),
        ({"crop": 128}, "preprocessing.crop 256 instead of 128"),
    ],
)
def test_what_is_asked_about_has_to_agree(clip, field, problem):
    wanted = Wanted(**({"model": "m", "dtype": "float16", "crop": 256} | field))
    assert inspect(clip, wanted) == ((State.OTHER, f"made with {problem}") if problem else (State.DONE, ""))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "m.npy has no m.json that says how it was made"),
        ("{", "m.json: not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ("[]", "made with model None instead of m"),
        ('{"model": "m", "weights": 7}', "made with dtype None instead of float16"),
    ],
)
def test_features_that_do_not_say_how_they_were_made_are_somebody_elses(clip, text, problem):
    clip.features_sidecar("m").unlink() if text is None else clip.features_sidecar("m").write_text(text)
    assert inspect(clip, WANTED) == (State.OTHER, problem)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_a_head_is_read(tmp_path, version):
    with (path := tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.ones((3, 2), np.float32), version)
    assert npy.Head.parse(path.read_bytes()).shape == (3, 2)
    assert npy.read_head(path).shape == (3, 2)


HEAD = b"\x93NUMPY\x01\x00"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        HEAD,
        HEAD + b"\xff\xff{",
        HEAD + b"\x03\x00{}\n",
        HEAD + b"\x04\x00" + b"((((",
        HEAD + b"\x39\x00" + b"{'descr':'<f2','fortran_order':False,'shape':(-1,-1,)}   \n",
        HEAD + b"\x39\x00" + b"{'descr':'|O' ,'fortran_order':False,'shape':(1,1,)}     \n",
        HEAD + b"\x39\x00" + b"{'descr':'<f2','fortran_order':True ,'shape':(1,1,)}     \n",
        HEAD + b"\x39\x00" + b"{'descr':'<f2','fortran_order':False,'shape':(1,0.5)}    \n",
    ],
)
def test_what_is_no_head_is_no_array_and_said_in_one_line(tmp_path, data):
    (path := tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(ContractError):
        npy.read_head(path)
    with pytest.raises(ContractError) as raised:
        npy.Head.parse(data)
    assert len(str(raised.value).splitlines()) == 1

"""A small file is read, and what is no file is refused without waiting for it."""

import os
from pathlib import Path

import pytest

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError


def test_a_file_is_read_up_to_a_size(tmp_path):
    (tmp_path / "clip.json").write_bytes(b"12345")
    assert regular.read(tmp_path / "clip.json", "clip.json", 5) == b"12345"
    with pytest.raises(ContractError, match=r"^clip.json: more than 4 bytes$"):
        regular.read(tmp_path / "clip.json", "clip.json", 4)


def open_files():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_and_nothing_stays_open(tmp_path, make):
    make(tmp_path / "clip.json")
    before = open_files()
    with pytest.raises(ContractError, match=r"^clip.json: not a regular file$"):
        regular.read(tmp_path / "clip.json", "clip.json")
    assert open_files() == before

"""An export to S3: with s3fs, on a server that speaks its protocol."""

import sys

from helpers.exports import content, export
from helpers.readers import read


def test_an_export_to_s3_that_was_killed_continues_and_has_the_files_of_one_to_a_folder(a_run, tmp_path):
    found = read("s3", "to_s3", a_run.root, sys.executable)
    assert (found["code"], found["said"].startswith("exported 6 clips")) == (0, True), found["said"]
    assert export(a_run.root, tmp_path / "folder", "--previews", 2).exit_code == 0
    assert found["files"] == content(tmp_path / "folder")
    assert found["missing"].count("\n") == 1
    assert "s3://nowhere/pushed" in found["missing"]

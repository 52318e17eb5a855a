"""A clip that an error of reading hides is not made again, not counted, and named with the error."""

import errno
import json
import shutil

import pytest

from helpers import refusing
from helpers.local import clipfarm


@pytest.fixture
def made(local):
    local.clips = 3
    assert local.run().returncode == 0
    return local


def test_a_run_goes_on_without_a_clip_that_cannot_be_read_and_leaves_it_as_it_is(made, refusing_library):
    hidden = made.output / "clip_00001"
    before = hidden.stat().st_ino
    shutil.rmtree(made.output / "clip_00002")
    made.env |= refusing.variables(refusing_library, ("open", "clip_00001/clip.json", errno.EIO))
    ran = made.run()
    why = "cannot be read: clip.json: Input/output error (EIO); it is left as it is"
    assert ran.returncode == 1
    assert f"failed to render: clips 1: {why}" in ran.stdout
    assert json.loads((made.output / "report.json").read_text())["failures"] == [
        {"clips": "1", "stage": "render", "reason": why}
    ]
    assert made.started() == [0, 1, 2, 2]
    made.env.clear()
    assert (made.run().returncode, hidden.stat().st_ino, made.complete()) == (0, before, [0, 1, 2])


def test_verify_tells_what_could_not_be_read_from_what_is_wrong(made, refusing_library):
    unread = refusing.variables(refusing_library, ("open", "clip_00001/seed.txt", errno.EACCES))
    ran = clipfarm("verify", made.output, env=unread)
    assert (ran.returncode, ran.stdout.splitlines()) == (
        3,
        [
            "clip 1: cannot be read: seed.txt: Permission denied (EACCES)",
            "checked 3 clips and 0 feature files: no problems, 1 that could not be read",
        ],
    )
    (made.output / "clip_00002" / "more.txt").touch()
    assert clipfarm("verify", made.output, env=unread).returncode == 1

"""What file systems refuse that are not local disks: a run goes on, or says which path was refused, and what to do."""

import errno
import json
import subprocess
import sys
from contextlib import contextmanager

import pytest

from clipfarm_contract.layout import RunFolder
from clipfarm_contract.writers import nobody_writes
from helpers import refusing
from helpers.local import clipfarm

WRITE = """
import sys
from pathlib import Path
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.writers import writing
with writing(RunFolder(Path(sys.argv[1]))):
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writer(folder, env):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, folder], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    yield
    process.communicate()


def test_a_shared_lock_is_had_where_it_needs_a_file_opened_for_reading(tmp_path, refusing_library):
    nfs = refusing.variables(refusing_library, ("lock-wronly", "/", errno.EBADF))
    with writer(tmp_path, nfs):
        assert not nobody_writes(RunFolder(tmp_path), 0.1)
    assert nobody_writes(RunFolder(tmp_path), 5)


def test_without_locks_a_run_is_made_with_a_note_and_half_made_clips_stay(local, refusing_library):
    local.clips = 2
    local.env |= refusing.variables(refusing_library, ("lock", "/", errno.ENOLCK))
    attempt = RunFolder(local.output).attempt(1, "0123abcd")
    attempt.mkdir(parents=True)
    ran = local.run()
    assert (ran.returncode, local.complete(), attempt.exists()) == (0, [0, 1], True), ran.stderr
    state = local.output / ".clipfarm"
    assert ran.stdout.splitlines()[:2] == [
        f"NOTE: {state / 'lock'} cannot be locked: No locks available; start no second run in this folder,"
        " because nothing would stop it",
        "half-made clips that stay (.clip_*): 1; it is unknown whether a process still writes them:"
        f" {state / 'writers'}: No locks available",
    ]


def test_a_folder_that_cannot_be_synced_is_no_reason_to_fail_a_clip(local, refusing_library):
    local.clips = 1
    local.env |= refusing.variables(refusing_library, ("sync-folder", "/", errno.EINVAL))
    assert local.run().returncode == 0
    assert clipfarm("verify", local.output).returncode == 0


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_folder_whose_sync_fails_fails_the_clip_with_its_path(local, refusing_library, number):
    local.clips = 1
    local.env |= refusing.variables(refusing_library, ("sync-folder", ".clip_00000", number))
    ran = local.run()
    assert ran.returncode == 1
    assert f"failed to render: clips 0: {local.output}/.clip_00000." in ran.stdout


@pytest.mark.torch
@pytest.mark.parametrize(("call", "number"), [("link-across", errno.EXDEV), ("link", errno.EPERM)])
def test_where_hard_links_are_refused_one_encoder_does_all(local, refusing_library, call, number):
    local.clips, local.spec["encode"] = 2, {"model": "vjepa2_tiny16", "weights": {"source": "random"}}
    local.script(0, "paint")
    local.script(1, "paint")
    local.env |= refusing.variables(refusing_library, (call, "/", number))
    ran = local.run()
    assert ran.returncode == 0, ran.stdout
    assert json.loads((local.output / "report.json").read_text())["clips"]["encoded"] == 2
    said = (local.output / ".clipfarm" / "workers" / "encoder-0.log").read_text()
    assert "NOTE: this file system has no hard links, so no second encoder may work on this folder" in said

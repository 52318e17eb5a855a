"""A disk that is full, and a folder that is gone: the run goes on, or says so in one line."""

import errno

from helpers import refusing
from helpers.local import LIMIT, wait_until


def test_a_disk_that_is_full_for_a_while_delays_a_run(local, refusing_library):
    local.clips = 3
    full = local.folder / "full"
    local.env |= refusing.variables(refusing_library, ("open", "/workers/clip_00001", errno.ENOSPC), only_while=full)
    full.touch()
    process = local.start()
    wait_until(lambda: local.complete() == [0], "the first clip")
    first = next(line for line in process.stdout if "trying again" in line)
    path = local.output / ".clipfarm" / "workers" / "clip_00001.log"
    assert first.split(" ", 1)[1] == f"{path}: No space left on device; trying again\n"
    full.unlink()
    output, _ = process.communicate(timeout=LIMIT)
    assert (process.returncode, local.complete()) == (0, [0, 1, 2]), output


def test_a_disk_that_is_full_from_the_start_ends_a_run_with_the_path(local, refusing_library):
    local.env |= refusing.variables(refusing_library, ("open", "/.clipfarm/.experiment-", errno.ENOSPC))
    ran = local.run()
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"{local.output}/.clipfarm/experiment-")
    assert ran.stderr.endswith(".json: No space left on device\n")


def test_a_folder_that_another_takes_the_place_of_is_not_taken_for_it(local):
    local.clips = 2
    local.script(1, "wait never")
    process = local.start()
    wait_until(lambda: 1 in local.started(), "the second clip")
    local.output.rename(local.folder / "moved")
    (local.output / ".clipfarm").mkdir(parents=True)
    (local.output / ".clipfarm" / "lock").touch()
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 2
    assert output.splitlines()[-1] == f"{local.output}: another folder has taken its place"

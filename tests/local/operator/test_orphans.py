"""An executor that is killed leaves nothing at work, however early in the life of what it has started."""

import signal

import psutil
import pytest

from helpers.local import descendants, wait_until

SPEC = {"model": "vjepa2_tiny16", "weights": {"source": "random"}}


def of(folder):
    """Return the processes, other than the executor, that were told to work on a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        at_work = {"clipfarm_render", "clipfarm_encode"}.intersection(words)
        if at_work and str(folder) in words and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def program(processes, name):
    """Return the one that runs a program, be it still as ``nice``."""
    for process in processes:
        try:
            if name in process.cmdline():
                return process
        except psutil.Error:
            continue
    return None


def has_loaded(process, library):
    try:
        return any(library in each.path for each in process.memory_maps())
    except psutil.Error:
        return False


MOMENTS = {
    "a supervisor was started just now": lambda local, children: program(children, "clipfarm_render"),
    "a renderer is at work": lambda local, children: local.started(),
    "an encoder was started just now": lambda local, children: program(children, "clipfarm_encode"),
    "an encoder loads PyTorch": lambda local, children: (
        (encoder := program(children, "clipfarm_encode")) and has_loaded(encoder, "libtorch")
    ),
}


@pytest.mark.torch
@pytest.mark.parametrize("moment", MOMENTS)
def test_nothing_outlives_an_executor_that_is_killed(local, moment):
    local.clips, local.spec["encode"] = 3, SPEC
    local.script(0, "paint" if "encoder" in moment else "wait never")
    for clip in (1, 2):
        local.script(clip, "wait never")
    process = local.start()
    wait_until(lambda: MOMENTS[moment](local, descendants(process.pid)), moment)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    wait_until(lambda: not of(local.output), "the end of all that it has started", 20)
    for clip in range(3):
        local.script(clip, "ok")
    ran = local.run("--no-encode")
    assert (ran.returncode, local.complete(), local.half_made()) == (0, [0, 1, 2], []), ran.stdout

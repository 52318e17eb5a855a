"""On a GPU, `clipfarm local` makes several clips in one process: the stand-in of NVML, and Blender on the CPU."""

import os
import signal

import psutil
import pytest

from clipfarm_contract.layout import RunFolder
from clipfarm_contract.result import ClipResult
from helpers.experiments import TINY
from helpers.local import wait_until
from helpers.runs import document

pytestmark = pytest.mark.blender
RENDER_ON_THE_CPU = """
import os
if "CLIP_REPORT" in os.environ:  # the process that makes clips, and no other
    os.environ["CLIP_DEVICE"] = "cpu"
"""


@pytest.fixture
def on_gpu(local, gpus, tmp_path):
    """A run that has a GPU, for all but the process of a clip, which there is none for here."""
    (tmp_path / "stand-in").mkdir()
    (tmp_path / "stand-in" / "sitecustomize.py").write_text(RENDER_ON_THE_CPU)
    local.env["PYTHONPATH"] = str(tmp_path / "stand-in")
    local.spec["experiment"] = document(local.clips)["spec"]["experiment"] | {
        name: value for name, value in TINY.items() if name in ("frames", "resolution", "samplesPerPixel")
    }
    local.spec["render"] = {"device": "cuda", "command": []}
    local.spec["vram"] = {"checkInterval": "0.1s", "allocationTime": "0s", "perClip": "1Gi"}
    gpus.show(0.2)
    return local


def imports(local):
    """Seconds that each clip waited for Blender: none if its process had made another one."""
    run = RunFolder(local.output)
    return [ClipResult.read(run.result(clip)).seconds["import"] for clip in run.clips()]


def test_one_process_makes_one_clip_after_the_other_and_ends_with_the_run(on_gpu):
    on_gpu.clips = 4
    done = on_gpu.run()
    assert (done.returncode, on_gpu.complete()) == (0, [0, 1, 2, 3]), done.stdout
    assert imports(on_gpu)[1:] == [0.0] * 3
    assert not list((on_gpu.output / ".clipfarm" / "workers").iterdir())


def test_a_process_that_is_killed_costs_its_clip_and_another_goes_on(on_gpu):
    on_gpu.clips = 4
    on_gpu.spec["experiment"]["frames"] = 24
    process = on_gpu.start()
    try:
        wait_until(lambda: on_gpu.complete() == [0], "the first clip")
        (supervisor,) = (each for each in psutil.Process(process.pid).children() if "--serve" in each.cmdline())
        os.kill(supervisor.children()[0].pid, signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "killed by signal 9" in output
    assert on_gpu.complete() == [0, 2, 3]


def test_above_the_high_watermark_no_process_keeps_its_memory(on_gpu, gpus):
    on_gpu.clips = 3
    process = on_gpu.start()
    try:
        wait_until(lambda: on_gpu.half_made(), "the first clip to be at work")
        gpus.show(0.95)
        for line in process.stdout:
            if "at 95%; starts again below" in line:
                break
        held = len(on_gpu.complete())
        wait_until(lambda: not psutil.Process(process.pid).children(), "the process to end")
        assert len(on_gpu.complete()) == held < 3
        gpus.show(0.2)
        # This call may expect the neighbour's burst again, for as long as it remembers it; a new one does not.
        process.terminate()
        process.communicate(timeout=60)
        process = on_gpu.start()
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, on_gpu.complete()) == (0, [0, 1, 2]), output

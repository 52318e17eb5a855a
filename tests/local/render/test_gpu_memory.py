"""A supervisor whose clips are done tells what their GPU has in use; NVIDIA's library is a stand-in."""

import json
import time

import pytest

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.result import GpuReading
from helpers.nvml import Gpus

from .conftest import python

WRITE = "pathlib.Path(folder, 'made').write_text('')"
TWO_GPUS = "1000 8000 0\n3000 16000 100\n"
INSTANCES = "4000 80000 600\nmig 7 100 9050 50 1g.10gb\nmig 9 200 19000 50 2g.20gb\n"


@pytest.fixture
def gpus(tmp_path, nvml_library, monkeypatch):
    found = Gpus(tmp_path / "gpus.txt", nvml_library)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("CLIPFARM_GPU", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    return found


def told(supervise, code=WRITE, device="cuda"):
    """Make two clips, and return the message."""
    message = supervise.folder / "message"
    ended = supervise(*python(code), count=2, options=["--device", device, "--termination-message", message])
    return ended, json.loads(message.read_text())


@pytest.mark.parametrize(
    ("shown", "variables", "gpu"),
    [
        ("1000 8000 200\n", {}, ("GPU-00000000-stub", "", 1000, 7800)),
        ("v1\n1000 8000 200\n", {}, ("GPU-00000000-stub", "", 1200, 8000)),
        # One of several has to be named.
        (TWO_GPUS, {}, None),
        (TWO_GPUS, {"CLIPFARM_GPU": "GPU-00000001-stub"}, ("GPU-00000001-stub", "", 3000, 15900)),
        (TWO_GPUS, {"CUDA_VISIBLE_DEVICES": "1"}, ("GPU-00000001-stub", "", 3000, 15900)),
        (TWO_GPUS, {"CLIPFARM_GPU": "", "CUDA_VISIBLE_DEVICES": "0"}, ("GPU-00000000-stub", "", 1000, 8000)),
        (TWO_GPUS, {"CLIPFARM_GPU": "GPU-9"}, None),
        # CUDA reads no further than a name that makes no sense; and a GPU that is lost hides no other one.
        (TWO_GPUS, {"CUDA_VISIBLE_DEVICES": "-1,0"}, None),
        (f"1000 8000 0\noff\n{TWO_GPUS}", {"CUDA_VISIBLE_DEVICES": "2"}, ("GPU-00000002-stub", "", 3000, 15900)),
        # An instance is known by its GPU and its number, as exporters tell of it.
        (INSTANCES, {"CUDA_VISIBLE_DEVICES": "MIG-00000000-9-stub"}, ("GPU-00000000-stub", "9", 200, 18950)),
        ("9000 8000 0\n", {}, None),
        ("gone\n", {}, None),
    ],
)
def test_the_gpu_is_measured_when_the_clips_are_done(supervise, gpus, monkeypatch, shown, variables, gpu):
    gpus.write(shown)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    begun = time.time()
    ended, message = told(supervise)
    assert ended.code == ExitCode.OK
    assert len(message["clips"]) == 2
    if gpu is None:
        assert "gpu" not in message
    else:
        found = GpuReading.parse(message["gpu"], "gpu")
        assert (found.uuid, found.instance, found.used_mib, found.total_mib) == gpu
        assert begun - 1 < found.at < time.time() + 1


def test_it_is_measured_when_the_renderer_has_ended(supervise, gpus):
    gpus.write("5000 8000 0\n")
    # The clip's memory is free when its process ends.
    frees = f"{WRITE}; pathlib.Path(os.environ['NVML_STUB']).write_text('1000 8000 0')"
    _, message = told(supervise, frees)
    assert message["gpu"]["usedMiB"] == 1000


def test_a_clip_that_ran_out_of_memory_tells_what_is_in_use_then(supervise, gpus):
    gpus.write("7900 8000 0\n")
    ended, message = told(supervise, "sys.exit(2)")
    assert ended.code == ExitCode.OUT_OF_VRAM
    assert message["gpu"]["usedMiB"] == 7900


def test_a_driver_that_does_not_answer_keeps_no_pod_from_its_end(supervise, gpus):
    gpus.write("hang\n1000 8000 0\n")
    ended, message = told(supervise)
    assert ended.code == ExitCode.OK
    assert [clip["exitCode"] for clip in message["clips"]] == [0, 0]
    assert "gpu" not in message


def test_clips_on_cpus_and_machines_without_the_library_tell_of_no_gpu(supervise, gpus, monkeypatch):
    gpus.write("1000 8000 0\n")
    assert "gpu" not in told(supervise, device="cpu")[1]
    monkeypatch.delenv("LD_LIBRARY_PATH")
    assert "gpu" not in told(supervise)[1]


# A renderer that takes 3,700 MiB for a second, as the stand-in is told to show, and frees them.
SHOW = """new = (stub := pathlib.Path(os.environ['NVML_STUB'])).with_suffix('.x'); before = stub.read_text();
def show(text): new.write_text(text); new.replace(stub)
show({shown}); time.sleep(1.0); pathlib.Path(folder, 'made').write_text(''); show(before)"""
BY_PROCESS = SHOW.format(shown=r"f'4700 20000 0\nprocess {os.getpid()} 3700\n'")
BY_GPU = SHOW.format(shown=r"'4700 20000 0\n'")
IN_ANOTHER_CONTAINER = SHOW.format(shown=r"'4700 20000 0\nprocess 4000000 500\nprocess 4000001 3700\n'")


@pytest.mark.parametrize(
    ("shown", "code", "by", "peak"),
    [
        ("1000 20000 0\n", BY_PROCESS, "process", 3700),
        ("1000 20000 0\n", BY_GPU, "gpu", 3700),
        ("1000 20000 0\nprocess 4000000 500\n", IN_ANOTHER_CONTAINER, "gpu", 3700),
    ],
)
def test_the_message_says_what_each_clip_took_and_how_that_is_known(supervise, gpus, shown, code, by, peak):
    gpus.write(shown)
    ended, message = told(supervise, code)
    assert ended.code == ExitCode.OK, ended.lines
    for clip in message["clips"]:
        assert (clip["vram"]["by"], clip["vram"]["peakMiB"]) == (by, peak)
        assert clip["vram"]["allocatedAfter"] < 15


def test_a_driver_that_does_not_answer_leaves_cycles_count_and_the_usual_margin(supervise, gpus):
    gpus.write("hang\n1000 20000 0\n")
    line = "Fra:1 Mem:11M (Peak 11M) | Time:00:00.51 | Mem:1370.00M, Peak:1370.00M | Scene, ViewLayer | Sample 4/4"
    ended, message = told(supervise, f"print('{line}', flush=True); {WRITE}")
    assert ended.code == ExitCode.OK, ended.lines
    assert [(clip["vram"]["by"], clip["vram"]["peakMiB"]) for clip in message["clips"]] == [("cycles", 3690)] * 2


@pytest.mark.blender
@pytest.mark.parametrize(("device", "shared", "lines"), [("cuda", True, 2), ("cuda", False, 1), ("optix", True, 2)])
def test_what_will_be_slow_is_told_with_what_to_do(supervise, gpus, monkeypatch, device, shared, lines):
    gpus.show(0.1)
    if shared:
        monkeypatch.setenv("CLIPFARM_GPU", "GPU-00000000-stub")
    message = supervise.folder / "message"
    # There is no such GPU, so the clip fails; its pod says all the same what it found.
    ended = supervise(options=["--device", device, "--termination-message", message])
    assert ended.code == ExitCode.FAILED
    slow = json.loads(message.read_text())["slow"]
    assert len(slow) == lines
    assert any("no kernels for sm_121" in line and "tools/images --kernels sm_121" in line for line in slow)
    assert any("MPS is not on" in line for line in slow) is shared


def test_a_renderer_of_ones_own_is_told_nothing_about_kernels(supervise, gpus):
    gpus.show(0.1)
    assert "slow" not in told(supervise)[1]

"""clipfarm doctor and clipfarm gpu prepare: without a driver, and on the stand-in for NVIDIA's library."""

import pytest

from clipfarm_contract.kernels import path_of
from helpers.local import clipfarm


def found(shown):
    return {
        about.strip(): text.strip() for about, _, text in (line.partition(":") for line in shown.stdout.splitlines())
    }


def test_without_a_driver_it_says_that_clips_render_on_the_cpu():
    shown = clipfarm("doctor", env={"LD_LIBRARY_PATH": "/nonexistent"})
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = found(shown)
    assert lines["driver"].startswith("no GPU here: NVML: ")
    assert lines["driver"].endswith(": clips render on the CPU")
    assert lines["renderer"].startswith("Blender 4.2")


def test_on_a_gpu_without_kernels_it_says_what_will_be_slow_and_what_to_do(gpus):
    gpus.write("1024 81920 512\n")
    shown = clipfarm("doctor", env=gpus.environment)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert len(shown.stdout.splitlines()) <= 10
    lines = found(shown)
    assert lines["driver"] == "580.0-stub"
    assert lines["gpu 0"] == "NVIDIA Stand-in, sm_121, 1.0 GiB of 79.5 GiB in use"
    assert lines["kernels"].startswith("none for sm_121: the driver compiles them for more than eight minutes")
    assert lines["kernels"].endswith("; run clipfarm gpu prepare sm_121")


@pytest.mark.parametrize("said", ["gone", "1024 81920 512\nlost"])
def test_a_driver_that_is_there_and_fails_is_something_to_do(gpus, said):
    gpus.write(said + "\n")
    shown = clipfarm("doctor", env=gpus.environment)
    assert (shown.returncode, shown.stderr) == (1, "")
    answer = shown.stdout.splitlines()[-1]
    assert answer.startswith("driver:    GPUs cannot be asked: NVML: ")
    assert "; restart this container if the driver was updated meanwhile, or else the machine;" in answer


def test_kernels_are_not_made_for_gpus_whose_driver_fails(gpus):
    gpus.take_away()
    shown = clipfarm("gpu", "prepare", env=gpus.environment)
    assert shown.returncode == 2
    assert shown.stderr.startswith("GPUs cannot be asked: NVML: ")


def test_where_there_is_no_gpu_kernels_are_made_for_architectures_that_are_named():
    shown = clipfarm("gpu", "prepare", env={"LD_LIBRARY_PATH": "/nonexistent"})
    assert shown.returncode == 2
    assert shown.stderr.startswith("no GPU here: NVML: ")
    assert shown.stderr.endswith("; name architectures, such as sm_90 for an H100\n")


def test_kernels_that_are_there_are_not_compiled_again():
    shown = clipfarm("gpu", "prepare", "sm_89")
    assert (shown.returncode, shown.stdout) == (0, f"sm_89: there already: {path_of('sm_89')}\n")

"""clipfarm doctor and clipfarm gpu prepare: without a driver, and on the stand-in for NVIDIA's library."""

import socket

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
    assert lines["driver"].startswith("no GPU here, so clips render on the CPU (NVML: ")
    assert lines["renderer"].startswith("Blender 4.2")


def test_on_a_gpu_without_kernels_it_says_what_will_be_slow_and_what_to_do(gpus):
    gpus.write("1024 81920 512\n")
    shown = clipfarm("doctor", env=gpus.environment)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert len(shown.stdout.splitlines()) <= 10
    lines = found(shown)
    assert lines["driver"] == "580.0-stub"
    assert lines["gpu 0"] == "NVIDIA Stand-in, sm_121, 1.0 GiB of 79.5 GiB in use"
    assert lines["kernels"].startswith(
        "none for sm_121: each run begins with more than eight minutes in which the driver"
    )
    assert lines["kernels"].endswith("; run clipfarm gpu prepare sm_121")


def test_a_library_that_is_missing_beside_nvidias_programs_is_something_to_do(tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    shown = clipfarm("doctor", env={"LD_LIBRARY_PATH": "/nonexistent", "PATH": path})
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "though nvidia-smi is there: NVML: " in found(shown)["driver"]
    assert "add utility to NVIDIA_DRIVER_CAPABILITIES" in found(shown)["driver"]


@pytest.mark.parametrize("how", ["off", "lost"])
def test_a_gpu_that_does_not_answer_is_named_beside_those_that_do(gpus, how):
    gpus.write(f"0 81920 0\n{how}\n1024 81920 512\n")
    shown = clipfarm("doctor", env=gpus.environment)
    assert (shown.returncode, shown.stderr) == (1, "")
    lines = found(shown)
    assert lines["gpu 0"].startswith("does not answer: NVML: GPU is lost; reset it (nvidia-smi --gpu-reset)")
    assert lines["gpu 1"] == "NVIDIA Stand-in, sm_121, 1.0 GiB of 79.5 GiB in use"
    assert {"kernels", "optix", "memory", "mps"} <= lines.keys()


def test_a_gpu_without_memory_of_its_own_is_usable_once_clips_need_not_know_it(gpus):
    gpus.write("0 81920 0\nshared\n")
    line = found(clipfarm("doctor", env=gpus.environment))["gpu 0"]
    assert line == (
        "NVIDIA Stand-in, sm_121, whose memory the driver does not report; set vram.whenUnknown: Admit, or clips wait"
    )


@pytest.mark.parametrize(
    ("visible", "says", "code"),
    [
        ("7", "CUDA_VISIBLE_DEVICES=7 names no GPU that is here; the driver knows 1; name them by number or UUID", 1),
        ("GPU-f00", "CUDA_VISIBLE_DEVICES=GPU-f00 names no GPU that is here; the driver knows 1", 1),
        ("-1", "CUDA_VISIBLE_DEVICES hides all of them: clips render on the CPU", 0),
    ],
)
def test_gpus_that_a_variable_hides_are_not_said_to_be_missing(gpus, visible, says, code):
    gpus.show(0.1)
    shown = clipfarm("doctor", env={**gpus.environment, "CUDA_VISIBLE_DEVICES": visible})
    assert shown.returncode == code
    assert found(shown)["gpu"].startswith(says)


def test_mps_whose_daemon_was_killed_is_off(gpus, tmp_path):
    gpus.show(0.1)
    environ = {**gpus.environment, "CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    assert found(clipfarm("doctor", env=environ))["mps"] == "off: workers that share a GPU take turns"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
        daemon.bind(str(tmp_path / "control"))
        daemon.listen()
        assert found(clipfarm("doctor", env=environ))["mps"].startswith("on: ")
    assert found(clipfarm("doctor", env=environ))["mps"].startswith(f"off: no daemon answers at {tmp_path}/control")


def test_a_driver_that_was_replaced_is_something_to_do(gpus):
    gpus.take_away()
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

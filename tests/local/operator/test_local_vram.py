"""GPU memory holds clips back: the real NVML binding on a stand-in library whose numbers change while a run goes on."""

import time

import pynvml
import pytest

from clipfarm.vram.nvml import NvmlSource
from clipfarm.world import GpuId
from helpers.local import clipfarm, end, wait_until


def vram(**fields):
    # A reading shows a clip at once here: the stand-in's numbers are the test's own.
    return {"checkInterval": "0.1s", "allocationTime": "0s"} | fields


def output_line(process, text):
    """Return the first line that contains a text; fail at the end of the output."""
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"the run ended without: {text}")


def test_high_memory_starts_no_clip_and_ends_none_and_low_memory_starts_them_again(local, gpus):
    # With a size given, the rise that both clips may still see is a neighbour's, and not taken for theirs.
    local.clips, local.spec["workers"], local.spec["vram"] = 6, 2, vram(perClip="100Mi")
    local.script(0, "wait go0")
    local.script(1, "wait go1")
    gpus.show(0.2)
    process = local.start()
    wait_until(lambda: sorted(local.started()) == [0, 1], "two clips at work")
    gpus.show(0.91)
    local.signal_file("go0")
    line = output_line(process, "at 91%; starts again below 70%")
    assert "held 2: GPU 0 on" in line
    assert (sorted(local.started()), local.complete()) == ([0, 1], [0])
    local.signal_file("go1")  # the clip that ran when memory got high runs to its end
    wait_until(lambda: local.complete() == [0, 1], "the running clip to end")
    gpus.show(0.80)  # between the watermarks the gate stays as it was
    output_line(process, "held 2-3: ")
    assert sorted(local.started()) == [0, 1]
    gpus.show(0.60)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, local.complete()) == (0, [0, 1, 2, 3, 4, 5]), output
    assert "nothing is held any more" in output


def test_a_library_that_goes_away_is_unknown_and_not_zero(local, gpus):
    local.clips, local.spec["workers"], local.spec["vram"] = 3, 1, vram(staleAfter="0.5s")
    local.script(0, "wait go")
    gpus.show(0.2)
    process = local.start()
    wait_until(lambda: local.started() == [0], "a clip at work")
    gpus.take_away()
    # Long enough for the last reading to be stale: only then may the clip end and its worker be free.
    age = local.events()[0].at
    wait_until(lambda: time.time() > age + 2, "the last reading to grow old")
    local.signal_file("go")
    line = output_line(process, "held")
    assert "memory of GPU 0 on" in line
    assert "is unknown (the last reading is" in line
    assert "mismatch" in line
    assert local.started() == [0]
    gpus.show(0.2)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, local.complete()) == (0, [0, 1, 2]), output


def test_no_library_at_all_holds_a_gpu_run_and_says_so(local):
    local.spec["render"] = {"device": "cuda"}
    local.env["LD_LIBRARY_PATH"] = "/nonexistent"
    process = local.start()
    line = output_line(process, "held")
    assert "GPU memory of" in line
    assert "NVML" in line
    assert "vram.whenUnknown: Admit starts clips anyway" in line
    status, _, _ = end(process)
    assert (status, local.started()) == (143, [])


def test_unknown_memory_with_admit_starts_clips(local):
    local.clips, local.spec["workers"] = 2, 2
    local.spec["render"] = {"device": "cuda"}
    local.spec["vram"] = vram(whenUnknown="Admit")
    assert local.run().returncode == 0
    assert local.complete() == [0, 1]


def test_auto_scale_watches_memory_where_the_file_says_not_to(local, gpus):
    local.clips, local.spec["vram"] = 1, {"enabled": False}
    gpus.show(0.95)
    assert local.run().returncode == 0
    process = local.start("--auto_scale", "--start_job", 0, "--force_restart")
    assert "at 95%" in output_line(process, "held")
    assert end(process)[0] == 143


def test_workers_go_round_robin_to_the_gpus_that_are_open(local, gpus):
    local.clips, local.spec["workers"], local.spec["vram"] = 4, 4, vram(perClip="100Mi")
    for clip in range(4):
        local.script(clip, "wait go")
    gpus.show(0.1, 0.9, 0.1)
    process = local.start()
    wait_until(lambda: len(local.started()) == 4, "four clips at work")
    local.signal_file("go")
    process.communicate(timeout=60)
    found = {event.clip: event.gpu for event in local.events()}
    first, third = "GPU-00000000-stub", "GPU-00000002-stub"
    assert found == {0: first, 1: third, 2: first, 3: third}


def test_clips_that_have_not_allocated_yet_count_with_what_they_will_take(local, gpus):
    local.clips, local.spec["workers"] = 4, 4
    local.spec["vram"] = vram(perClip="3000Mi", allocationTime="1h")
    for clip in range(4):
        local.script(clip, "wait go")
    gpus.show(0.1)  # 1,000 of 10,000 MiB: two clips of 3,000 fit below 85 %, a third does not
    process = local.start()
    line = output_line(process, "held")
    assert "held 2-3: GPU 0 on" in line
    assert (
        "1.0 GiB in use, 2 clips started just now (5.9 GiB); another clip (2.9 GiB) would exceed the 8.3 GiB limit"
        in line
    )
    local.signal_file("go")
    process.communicate(timeout=60)
    assert (process.returncode, local.complete()) == (0, [0, 1, 2, 3])


def test_without_an_expectation_admission_starts_with_one_clip(local, gpus):
    local.clips, local.spec["workers"], local.spec["vram"] = 4, 4, vram(allocationTime="1h")
    for clip in range(4):
        local.script(clip, "wait go")
    gpus.show(0.1)
    process = local.start()
    assert "waits for a reading that shows 1 clip started just now" in output_line(process, "held")
    wait_until(lambda: local.started() == [0], "the first clip")
    local.signal_file("go")
    process.communicate(timeout=60)
    assert (process.returncode, local.complete()) == (0, [0, 1, 2, 3])


def test_a_plan_shows_each_gpu_with_its_gate(local, gpus):
    gpus.show(0.5, 0.9)
    planned = clipfarm("plan", local.yaml, env=local.env)
    assert "GPU 0" in planned.stdout
    lines = [line.split(": ")[1] for line in planned.stdout.splitlines() if line.startswith("  GPU")]
    assert lines == ["50% in use, open", "90% in use, closed"]


class TestNvml:
    """The source alone, in this process: the library is found by the name that a test gives it."""

    @pytest.fixture(autouse=True)
    def library(self, gpus, nvml_library, monkeypatch):
        monkeypatch.setenv("NVML_STUB", gpus.environment["NVML_STUB"])
        monkeypatch.setattr(pynvml, "nvmlLib", pynvml.CDLL(str(nvml_library / "libnvidia-ml.so.1")))
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def test_a_reading_is_what_programs_use_of_what_they_may_use(self, gpus):
        gpus.show(0.25, total=1000, reserved=200)
        (reading,) = NvmlSource("here").look(7.0).readings
        assert (reading.gpu, reading.at) == (GpuId("here", 0, "GPU-00000000-stub"), 7.0)
        assert (reading.used_mib, reading.total_mib) == (250, 1000)

    def test_an_instance_is_known_by_the_name_that_cuda_takes(self, gpus):
        gpus.write("4000 80000 600\nmig 7 100 9050 50 1g.10gb\nmig 9 200 19000 50 2g.20gb\n")
        look = NvmlSource("here").look(7.0)
        assert look.gpus == (
            GpuId("here", 0, "MIG-00000000-7-stub", "7"), GpuId("here", 0, "MIG-00000000-9-stub", "9"),
        )  # fmt: skip
        assert [(reading.used_mib, reading.total_mib) for reading in look.readings] == [(100, 9000), (200, 18950)]
        assert NvmlSource("here", "MIG-00000000-9").look(7.0).gpus == look.gpus[1:]
        assert [device.gpu.uuid for device in look.devices] == ["GPU-00000000-stub"] * 2, "as DCGM calls them"

    def test_a_gpu_that_is_lost_is_known_and_unread(self, gpus):
        gpus.write("100 1000 0\nlost\n200 1000 0\n")
        look = NvmlSource("here").look(7.0)
        assert [gpu.index for gpu in look.gpus] == [0, 1]
        assert [reading.gpu.index for reading in look.readings] == [1]
        assert look.problem == "NVML, GPU 0: GPU is lost"

    def test_an_old_driver_counts_its_reserve_as_used(self, gpus):
        gpus.show(0.25, total=1000, reserved=200, header="v1")
        (reading,) = NvmlSource("here").look(7.0).readings
        assert (reading.used_mib, reading.total_mib) == (450, 1200)

    def test_nonsense_is_no_reading(self, gpus):
        gpus.show(1.5, 0.5)
        look = NvmlSource("here").look(7.0)
        assert [gpu.index for gpu in look.gpus] == [0, 1]
        assert [reading.gpu.index for reading in look.readings] == [1]
        assert look.problem == "NVML, GPU 0: no memory size, or nonsense"

    def test_a_library_that_went_away_gives_no_reading_and_says_why(self, gpus):
        gpus.take_away()
        look = NvmlSource("here").look(7.0)
        assert (look.gpus, look.readings) == ((), ())
        assert "mismatch" in look.problem

    @pytest.mark.parametrize(
        ("visible", "indexes"),
        [(None, [0, 1, 2]), ("", []), ("1", [1]), ("2,0", [0, 2]), ("GPU-00000001-stub", [1]), ("GPU-00000002", [2])],
    )
    def test_only_gpus_that_cuda_may_use_are_looked_at(self, gpus, monkeypatch, visible, indexes):
        gpus.show(0.1, 0.1, 0.1)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert [gpu.index for gpu in NvmlSource("here", visible).look(7.0).gpus] == indexes

"""GPU memory of a clip, by the lines that Cycles prints."""

import json
from itertools import count

import pytest

from clipfarm_contract.result import ClipResult, VramUse
from clipfarm_render.vram_use import CONTEXT_MIB, VramWatch

# As Blender 4.2 prints them; the first two numbers are the host's.
LINE = "Fra:1 Mem:11.28M (Peak 11.28M) | Time:00:00.51 | Mem:{}M, Peak:{}M | Scene, ViewLayer | Sample 4/4"


def watch(*lines):
    seconds = count(0.0, 2.0)  # two between any two lines, the first after two
    found = VramWatch(clock=lambda: next(seconds))
    for line in lines:
        found.take(line)
    return found.summary()


def test_peak_average_and_time_come_from_the_devices_numbers():
    found = watch(LINE.format("100.00", "100.00"), LINE.format("300.00", "420.50"), LINE.format("0.00", "420.50"))
    assert found == VramUse(420.5 + CONTEXT_MIB, 200.0 + CONTEXT_MIB, 100.0, 2.0)


def test_one_line_is_an_average_too():
    found = watch(LINE.format("100.00", "100.00"))
    assert (found.average_mib, found.deviation_mib) == (100.0 + CONTEXT_MIB, 0.0)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Fra:1 Mem:11.28M (Peak 11.28M) | Time:00:00.02 | Syncing Cube",
        "Mem:1.00M, Peak:2.00M",
        LINE.format("0", "0"),
    ],
)
def test_lines_that_tell_nothing_of_a_device_are_passed_over(line):
    assert watch(line) is None


def test_a_result_with_and_without_it_is_read_back(tmp_path):
    for vram in (None, VramUse(1200.5, 900.0, 150.0, 6.5)):
        result = ClipResult(7, 0, "", {"total": 1.5}, 1.0, 300.0, vram)
        path = tmp_path / "result.json"
        path.write_text(json.dumps(result.to_json()))
        assert ClipResult.read(path) == result

"""GPU memory of a clip: by Cycles' lines, by the driver, and what is made of both."""

import json
import time
from itertools import count

import pytest

from clipfarm_contract.fields import ContractError
from clipfarm_contract.result import ClipResult, VramUse, Way
from clipfarm_render.vram.observer import Look, Process, VramObserver, by_gpu, by_process
from clipfarm_render.vram.use import MARGIN_FILE, MARGIN_MIB, VramWatch, in_all

# As Blender 4.2 prints them; the first two numbers are the host's.
LINE = "Fra:1 Mem:11.28M (Peak 11.28M) | Time:00:00.51 | Mem:{}M, Peak:{}M | Scene, ViewLayer | Sample 4/4"
OURS, OTHER = 100, 200
"""Process groups."""


def watch(*lines):
    seconds = count(0.0, 2.0)  # two between any two lines, the first after two
    found = VramWatch(clock=lambda: next(seconds))
    for line in lines:
        found.take(line)
    return found.summary()


def test_peak_average_and_time_come_from_the_devices_numbers():
    found = watch(LINE.format("100.00", "100.00"), LINE.format("300.00", "420.50"), LINE.format("0.00", "420.50"))
    assert found == VramUse(420.5, 200.0, 100.0, 2.0, Way.CYCLES)


def test_one_line_is_an_average_too():
    found = watch(LINE.format("100.00", "100.00"))
    assert (found.average_mib, found.deviation_mib) == (100.0, 0.0)


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


def looks(*rows):
    """A look a second: what the GPU has in use, and (number, group, MiB) of each process."""
    return [
        Look(float(at), used, {pid: Process(group, mib) for pid, group, mib in rows_})
        for at, (used, *rows_) in enumerate(rows)
    ]


def numbers(levels):
    return levels and (levels.peak, levels.average, levels.reached(0.9))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # It starts at the second look, and another one is there all the time.
        (
            [(5000, (7, OTHER, 5000)), (6000, (7, OTHER, 5000), (8, OURS, 1000)), (8700, (8, OURS, 3700))],
            (3700, 1000, 2.0),
        ),
        # Two processes of one group.
        ([(900, (8, OURS, 300), (9, OURS, 600)), (900, (8, OURS, 300), (9, OURS, 600))], (900, 900, 0.0)),
        # It has nothing any more, or has not begun.
        ([(500, (8, OURS, 500)), (0,), (0,)], (500, 250, 0.0)),
        ([(0,), (0,)], None),
        # Numbers of another container name no process here; and a driver that knows no sizes.
        ([(3700, (8, None, 3700))], None),
        ([(3700, (8, OURS, None))], None),
        ([(3700, (8, OURS, None), (9, OURS, 100))], None),
    ],
)
def test_a_clips_processes_are_told_from_others(rows, expected):
    assert numbers(by_process(looks(*rows), OURS)) == expected


@pytest.mark.parametrize(
    ("before", "rows", "after", "expected"),
    [
        # Alone on the GPU, whose processes are not told.
        ((400,), [(400,), (2000,), (4100,)], (400,), (3700, 1600, 2.0)),
        ((400,), [(4100,), (4100,)], (400,), (3700, 3700, 0.0)),
        # The list has numbers of another container, which may be its own.
        ((0,), [(3700, (8, None, 3700))], (0,), (3700, 3700, 0.0)),
        # What was there before grows, or goes, as the list says.
        ((5000, (7, None, 5000)), [(9700, (7, None, 6000))], (6000, (7, None, 6000)), (3700, 3700, 0.0)),
        ((5000, (7, None, 5000)), [(3700,)], (0,), (3700, 3700, 0.0)),
        # Unseen, another one came and stays; another one went meanwhile.
        ((0,), [(3700,), (7400,)], (3700,), (3700, 3700, 1.0)),
        ((3700,), [(7400,), (3700,)], (0,), (3700, 3700, 0.0)),
        # A reading that is not there is no zero.
        ((None,), [(3700,)], (0,), None),
        ((400,), [(3700,)], (None,), None),
        ((400,), [(None,), (400,)], (400,), None),
        # While it lives, an unseen one that came and stays cannot be told from it.
        ((0,), [(3700,), (7400,)], None, None),
    ],
)
def test_where_processes_are_not_told_apart_the_gpus_use_says_what_a_clip_takes(before, rows, after, expected):
    [first] = looks(before)
    last = looks(after)[0] if after else None
    assert numbers(by_gpu(looks(*rows), OURS, first, last)) == expected


COUNTED = VramUse(1370.0, 1300.0, 10.0, 2.0, Way.CYCLES)
MEASURED = VramUse(3700.0, 3600.0, 20.0, 3.0, Way.PROCESS)


def test_other_pods_memory_that_the_gpus_use_may_hold_is_not_taken_for_a_margin(tmp_path):
    measured = VramUse(9000.0, 8000.0, 20.0, 3.0, Way.GPU)
    assert in_all(COUNTED, measured, tmp_path) == measured
    assert not (tmp_path / MARGIN_FILE).exists()
    assert in_all(COUNTED, None, tmp_path).peak_mib == 1370.0 + MARGIN_MIB


def test_what_was_measured_counts_and_the_margin_over_cycles_count_is_learned(tmp_path):
    assert in_all(COUNTED, MEASURED, tmp_path) == MEASURED
    assert json.loads((tmp_path / MARGIN_FILE).read_text()) == {"marginMiB": 2330.0}
    assert in_all(COUNTED, None, tmp_path) == VramUse(3700.0, 3630.0, 10.0, 2.0, Way.CYCLES)
    in_all(COUNTED, VramUse(2000.0, 2000.0, 0.0, 1.0, Way.PROCESS), tmp_path)
    assert json.loads((tmp_path / MARGIN_FILE).read_text()) == {"marginMiB": 2330.0}, "the largest stays"


@pytest.mark.parametrize(
    "left", [None, "", "{", '{"marginMiB": "much"}', '{"marginMiB": -1}', '{"marginMiB": 1e999}', "[]"]
)
def test_without_a_margin_that_can_be_the_usual_one_is_added(tmp_path, left):
    if left is not None:
        (tmp_path / MARGIN_FILE).write_text(left)
    assert in_all(COUNTED, None, tmp_path).peak_mib == 1370.0 + MARGIN_MIB


def test_where_nothing_is_known_nothing_is_said(tmp_path):
    assert in_all(None, None, tmp_path) is None
    assert in_all(None, MEASURED, tmp_path) == MEASURED, "a renderer of the user's own prints nothing"


def test_a_result_with_and_without_it_is_read_back(tmp_path):
    for vram in (None, *(VramUse(1200.5, 900.0, 150.0, 6.5, way) for way in Way)):
        result = ClipResult(7, 0, "", {"total": 1.5}, 1.0, 300.0, vram)
        path = tmp_path / "result.json"
        path.write_text(json.dumps(result.to_json()))
        assert ClipResult.read(path) == result


def test_what_renderers_of_before_say_was_counted_by_cycles():
    told = {"peakMiB": 1870, "averageMiB": 1800, "deviationMiB": 10, "allocatedAfter": 2}
    assert VramUse.parse(told, "vram").way is Way.CYCLES
    with pytest.raises(ContractError, match=r"vram.by: found 'guess', expected one of \['process', 'gpu', 'cycles'\]"):
        VramUse.parse(told | {"by": "guess"}, "vram")


def test_between_clips_no_looks_pile_up(monkeypatch):
    monkeypatch.setattr(VramObserver, "_run", lambda _: None)  # the looks are ours

    def look(mib):
        observer._keep(Look(time.monotonic(), 5000.0, {8: Process(OURS, mib)}))

    observer = VramObserver()
    for _ in range(100):
        look(0.0)
    assert len(observer._looks) == 1
    observer.begin(OURS, time.monotonic())
    for mib in (100.0, 3700.0, 3000.0):
        look(mib)
    used = observer.end(OURS, lives=True, at_least=0.0)
    assert used is not None
    assert (used.peak_mib, used.way) == (3700.0, Way.PROCESS)
    look(3000.0)
    assert len(observer._looks) == 1

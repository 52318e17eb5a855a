"""A report says what its clips were made on, for those who need their bytes."""

import json

import pytest

from clipfarm.local.report import made_on
from clipfarm.local.report_text import markdown
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.machine import Machine, named
from clipfarm_contract.result import ClipResult

XEON, EPYC = Machine("Intel Xeon (family 6, model 207)"), Machine("AMD EPYC (family 25, model 17)")
H200 = Machine(XEON.processor, "NVIDIA H200", "580.159")
REPORT = {
    "run": "push", "phase": "Finished", "state": "finished", "wallSeconds": 9.0, "workers": 2, "threads": 1,
    "clips": {"total": 4, "rendered": 4, "completeBefore": 0, "encoded": 0, "failed": 0}, "clipsPerHour": 5.0,
    "machine": {"host": "h", "processor": "p", "cpus": 2, "gpus": [], "system": "Linux"}, "versions": {},
    "peakRssMiB": None, "stuck": None, "secondsPerClip": {}, "cpuSecondsPerClip": None, "encode": None, "failures": [],
}  # fmt: skip


def results(*machines):
    return [ClipResult(i, ExitCode.OK, "", {}, 1.0, 1.0, machine=machine) for i, machine in enumerate(machines)]


def test_clips_are_grouped_by_what_made_them_and_older_ones_left_out():
    assert made_on(results(EPYC, XEON, XEON, None)) == [
        {"processor": XEON.processor, "clips": "1-2"},
        {"processor": EPYC.processor, "clips": "0"},
    ]


def test_a_run_that_mixes_machines_says_so():
    text = markdown(REPORT | {"madeOn": made_on(results(EPYC, XEON, H200, XEON))})
    assert "- made on several kinds of machines" in text
    assert "  - Intel Xeon (family 6, model 207): clips 1,3\n" in text
    assert "  - NVIDIA H200 (driver 580.159), Intel Xeon (family 6, model 207): clips 2\n" in text


@pytest.mark.parametrize("machines", [(), (XEON, XEON), (None, XEON)])
def test_a_run_on_one_kind_of_machine_says_nothing_of_it(machines):
    assert "made on" not in markdown(REPORT | {"madeOn": made_on(results(*machines))})


CPUINFO = """processor : 0
model name\t: AMD EPYC
cpu family\t: 25
model\t\t: 17

processor : 1
model : 1"""


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [(CPUINFO, EPYC.processor), ("processor : 0\nmodel name : Cortex", "Cortex"), ("processor : 0", "")],
)
def test_a_processor_is_named_with_its_generation(cpuinfo, name):
    assert named(cpuinfo.splitlines()) == name


@pytest.mark.parametrize("machine", [XEON, H200, Machine("p", "a GPU")])
def test_a_result_keeps_what_it_was_made_on(machine, tmp_path):

    [result] = results(machine)
    (tmp_path / "r.json").write_text(json.dumps(result.to_json()))
    assert ClipResult.read(tmp_path / "r.json").machine == machine

"""GPU memory in the format of NVIDIA's DCGM exporter."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm.vram.dcgm import MOST_LINE, MOST_LINES, Answer, FormatError, parse
from clipfarm.world import GpuId, Holder, Reading

ANSWER = """\
# HELP DCGM_FI_DEV_FB_FREE Framebuffer memory free (in MiB).
# TYPE DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-a",device="nvidia0",modelName="T4",Hostname="node-1"} 14000
DCGM_FI_DEV_FB_FREE{gpu="1",UUID="GPU-b",device="nvidia1",modelName="T4",Hostname="node-1"} 0
# HELP DCGM_FI_DEV_FB_USED Framebuffer memory used (in MiB).
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",device="nvidia0",modelName="T4",Hostname="node-1"} 1000
DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-b",device="nvidia1",modelName="T4",Hostname="node-1"} 15000
# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a",Hostname="node-1"} 40
"""


def sample(used, free, labels='gpu="0",UUID="GPU-a",Hostname="node-1"'):
    return f"DCGM_FI_DEV_FB_USED{{{labels}}} {used}\nDCGM_FI_DEV_FB_FREE{{{labels}}} {free}\n"


def test_each_gpu_has_a_reading_of_the_moment_at_which_it_was_asked_for():
    assert parse(ANSWER, now=50.0).readings == (
        Reading(GpuId("node-1", 0, "GPU-a"), 1000.0, 15000.0, 50.0),
        Reading(GpuId("node-1", 1, "GPU-b"), 15000.0, 15000.0, 50.0),
    )


@pytest.mark.parametrize(
    ("used", "free"),
    [
        ("9223372036854775794", "1000"),  # DCGM's blank for 64 bits
        ("1000", "9.223372036854776e+18"),
        ("2147483632", "1000"),  # for 32 bits
        ("140737488355328", "1000"),  # for floating point
        ("-1", "5"),
        ("5", "-1"),
        ("NaN", "5"),
        ("5", "NaN"),
        ("+Inf", "5"),
        ("0", "0"),
        ("1" + "0" * 400, "5"),
    ],
)
def test_a_sentinel_or_nonsense_is_no_reading_and_the_gpu_is_named(used, free):
    try:
        told = parse(sample(used, free), 0.0)
    except FormatError:
        return  # a number that no float holds
    assert told == Answer((), "GPU 0: no number, or nonsense, instead of used and free memory")


def test_more_used_than_there_is_is_no_reading():
    labels = '{gpu="0",UUID="GPU-a",Hostname="node-1"}'
    total = "DCGM_FI_DEV_FB_TOTAL" + labels
    assert parse(sample(900, 100) + f"{total} 1200\n", 0.0).readings
    assert parse(sample(900, 100) + f"{total} 800\n", 0.0).readings == ()
    assert parse(sample(900, 100) + f"{total} 9223372036854775794\n", 0.0).readings, "of the total nothing is known"


def test_one_gpu_without_sense_takes_nothing_from_the_others():
    told = parse(sample("NaN", 1) + sample(1, 2, 'gpu="1",UUID="GPU-b",Hostname="node-1"'), 0.0)
    assert [reading.gpu.index for reading in told.readings] == [1]
    assert told.problem.startswith("GPU 0: ")


def test_half_of_a_pair_is_no_reading():
    assert parse(sample(1, 2).splitlines()[0] + "\n", 0.0).readings == ()


@pytest.mark.parametrize(
    "labels",
    [
        'UUID="GPU-a",Hostname="n"',
        'gpu="0",Hostname="n"',
        'gpu="0",UUID="GPU-a"',
        'gpu="",UUID="GPU-a",Hostname="n"',
        'gpu="zero",UUID="GPU-a",Hostname="n"',
        'gpu="-1",UUID="GPU-a",Hostname="n"',
        'gpu="99999",UUID="GPU-a",Hostname="n"',
        'gpu="0",UUID="GPU-a",Hostname="n",GPU_I_ID="seven"',
        f'gpu="0",UUID="{"x" * 300}",Hostname="n"',
    ],
)
def test_values_without_a_label_that_they_need_are_no_reading(labels):
    told = parse(sample(1, 2, labels), 0.0)
    assert told.readings == ()
    assert "without a label that it needs" in told.problem


def test_instances_of_a_gpu_are_told_apart_and_stand_in_the_place_of_the_whole():
    labels = 'gpu="0",UUID="GPU-a",GPU_I_PROFILE="1g.10gb",GPU_I_ID="{}",Hostname="n"'
    whole = sample(4, 6, 'gpu="0",UUID="GPU-a",Hostname="n"')
    found = parse(whole + sample(1, 2, labels.format(7)) + sample(3, 4, labels.format(8)), 0.0).readings
    assert [reading.gpu for reading in found] == [GpuId("n", 0, "GPU-a", "7"), GpuId("n", 0, "GPU-a", "8")]
    assert [str(reading.gpu) for reading in found] == ["GPU 0/7 on n", "GPU 0/8 on n"]


def test_whoever_knows_the_node_says_so_whatever_the_exporter_calls_itself():
    named = sample(1, 2, 'gpu="0",UUID="GPU-a",Hostname="dcgm-exporter-x2v"')
    bare = sample(1, 2, 'gpu="0",UUID="GPU-a"')
    for text in (named, bare):
        assert [reading.gpu.node for reading in parse(text, 0.0, lambda _: "here").readings] == ["here"]


def test_a_gpu_that_pods_share_is_one_and_held_by_all_of_them():
    shared = 'gpu="0",UUID="GPU-a",Hostname="n",namespace="team",pod="{}"'
    [reading] = parse(sample(1, 3, shared.format("a")) + sample(2, 2, shared.format("b")), 0.0).readings
    assert (reading.used_mib, reading.total_mib) == (2, 4), "should they differ, the fuller one is meant"
    assert reading.holders == (Holder("team/a"), Holder("team/b"))


@pytest.mark.parametrize(
    ("labels", "holders"),
    [
        ('namespace="team",pod="a"', ["team/a"]),
        ('exported_namespace="team",exported_pod="a",namespace="gpu",pod="dcgm"', ["team/a"]),
        ('namespace="gpu",pod="dcgm"', []),
        ('namespace="gpu",pod="nvidia-dcgm-exporter-x2v"', []),
        ('namespace="gpu",pod="x2v",container="nvidia-dcgm-exporter"', []),
        ('namespace="",pod=""', []),
    ],
)
def test_a_holder_is_who_uses_the_gpu_and_not_who_tells_of_it(labels, holders):
    text = sample(1, 2, f'gpu="0",UUID="GPU-a",Hostname="n",{labels}')
    [reading] = parse(text, 0.0, exporters={"gpu/dcgm"}).readings
    assert [holder.name for holder in reading.holders] == holders


AGENT = 'gpu="0",UUID="GPU-a",Hostname="node-1"'


def test_the_agent_tells_how_old_its_values_are_and_who_holds_how_much():
    text = sample(5, 5) + f"clipfarm_agent_reading_age_seconds{{{AGENT}}} 12.5\n"
    text += f'clipfarm_agent_holder_bytes{{{AGENT},holder="team/small"}} 1048576\n'
    text += f'clipfarm_agent_holder_bytes{{{AGENT},holder="team/big"}} 3145728\n'
    text += f'clipfarm_agent_holder_bytes{{{AGENT},holder="Xorg (pid 7)"}} NaN\n'
    [reading] = parse(text, 100.0).readings
    assert reading.at == 87.5
    assert reading.holders == (Holder("team/big", 3.0), Holder("team/small", 1.0), Holder("Xorg (pid 7)", None))


def test_what_a_source_says_is_cut_to_what_a_status_can_hold():
    text = sample(5, 5) + "".join(
        f'clipfarm_agent_holder_bytes{{{AGENT},holder="{number} {"x" * 500}"}} {number}\n' for number in range(50)
    )
    told = parse(text + f'clipfarm_agent_problem{{problem="a\\nb{"y" * 500}"}} 1\n', 0.0)
    [reading] = told.readings
    assert len(reading.holders) == 20
    assert all(len(holder.name) == 200 for holder in reading.holders)
    assert reading.holders[0].name.startswith("49 ")
    assert told.problem == "a b" + "y" * 197


@pytest.mark.parametrize("age", ["-1", "NaN", "+Inf"])
def test_an_age_that_makes_no_sense_is_no_reading(age):
    assert parse(sample(5, 5) + f"clipfarm_agent_reading_age_seconds{{{AGENT}}} {age}\n", 100.0).readings == ()


def test_values_without_an_age_may_be_as_old_as_their_exporter_collects():
    assert parse(sample(5, 5), 100.0, lag=30.0).readings[0].lag == 30.0
    told = parse(sample(5, 5) + f"clipfarm_agent_reading_age_seconds{{{AGENT}}} 2\n", 100.0, lag=30.0)
    assert told.readings[0].lag == 0.0, "the age says it all"


def test_an_agent_without_a_gpu_says_why():
    text = 'clipfarm_agent_problem{Hostname="n",problem="NVML: Driver Not Loaded"} 1.0\n'
    assert parse(text, 0.0) == Answer((), "NVML: Driver Not Loaded")


def test_values_that_come_with_a_time_are_as_old_as_they_say():
    text = "".join(f"{line} {1_700_000_000_000}\n" for line in sample(1, 2).splitlines())
    assert parse(text, 100.0, wall=1_700_000_030.0).readings[0].at == 70.0
    assert parse(text, 100.0, wall=1_600_000_000.0).readings[0].at == 100.0, "nothing comes from the future"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line of DCGM_FI_DEV_FB_USED"),
        ("<html>not found</html>", "no line of DCGM_FI_DEV_FB_USED"),
        ('{"a": 1}', "no line of DCGM_FI_DEV_FB_USED"),
        ("DCGM_FI_DEV_GPU_TEMP 40\n", "no line of DCGM_FI_DEV_FB_USED"),
        ("DCGM_FI_DEV_FB_USED{gpu=\n", "not in Prometheus' text format"),
        ('DCGM_FI_DEV_FB_USED{gpu="0"} one\n', "not in Prometheus' text format"),
        (sample("1 NaN", 2), "a value of the time nan"),
        (sample(1, 2)[:-1], "ends in the middle of a line"),
        ("DCGM_FI_DEV_FB_USED 1\n" * (MOST_LINES + 1), "expected at most"),
        (sample(1, 2, f'gpu="0",UUID="{"x" * MOST_LINE}"'), "expected at most"),
    ],
)
def test_what_is_no_answer_of_an_exporter_is_refused_with_the_reason(text, message):
    with pytest.raises(FormatError, match=message):
        parse(text, 0.0)


LINES = st.text(st.sampled_from('{}=",\\ #0159.+-eENaInf_gpuUUID\t\x0b\u2028'), max_size=60).map(
    "DCGM_FI_DEV_FB_USED".__add__
)
PAIRS = st.tuples(st.floats(), st.floats()).map(lambda pair: sample(*pair))


@given(st.lists(st.one_of(LINES, PAIRS, st.text(max_size=40)), max_size=6))
def test_whatever_is_told_becomes_a_number_that_makes_sense_or_none(lines):
    try:
        told = parse("\n".join(lines) + "\n", 0.0)
    except FormatError:
        return
    for reading in told.readings:
        assert math.isfinite(reading.total_mib)
        assert 0 <= reading.used_mib <= reading.total_mib > 0

"""GPU memory in the format of NVIDIA's DCGM exporter."""

import pytest

from clipfarm.vram.dcgm import FormatError, parse
from clipfarm.world import GpuId, Reading

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
    assert parse(ANSWER, now=50.0) == (
        Reading(GpuId("node-1", 0, "GPU-a"), 1000.0, 15000.0, 50.0),
        Reading(GpuId("node-1", 1, "GPU-b"), 15000.0, 15000.0, 50.0),
    )


@pytest.mark.parametrize(
    ("used", "free"),
    [("9223372036854775794", "1000"), ("1000", "9.223372036854776e+18"), ("-1", "5"), ("NaN", "5"), ("0", "0")],
)
def test_a_sentinel_or_nonsense_is_no_reading(used, free):
    assert parse(sample(used, free), 0.0) == ()


def test_half_of_a_pair_is_no_reading():
    assert parse(sample(1, 2).splitlines()[0] + "\n", 0.0) == ()


def test_instances_of_a_gpu_are_told_apart():
    labels = 'gpu="0",UUID="GPU-a",GPU_I_PROFILE="1g.10gb",GPU_I_ID="{}",Hostname="n"'
    found = parse(sample(1, 2, labels.format(7)) + sample(3, 4, labels.format(8)), 0.0)
    assert [reading.gpu for reading in found] == [GpuId("n", 0, "GPU-a/7"), GpuId("n", 0, "GPU-a/8")]


def test_without_a_host_name_the_caller_has_to_know_the_node():
    bare = sample(1, 2, 'gpu="0",UUID="GPU-a"')
    assert parse(bare, 0.0) == ()
    assert [reading.gpu.node for reading in parse(bare, 0.0, node="here")] == ["here"]


def test_gpus_that_pods_share_are_counted_once():
    shared = 'gpu="0",UUID="GPU-a",Hostname="n",pod="{}"'
    assert len(parse(sample(1, 2, shared.format("a")) + sample(1, 2, shared.format("b")), 0.0)) == 1


@pytest.mark.parametrize("text", ["<html>not found</html>", "DCGM_FI_DEV_FB_USED{gpu=\n", '{"a": 1}'])
def test_what_is_no_answer_of_an_exporter_is_refused(text):
    with pytest.raises(FormatError):
        parse(text, 0.0)

import pytest
import torch

from clipfarm_encode.models.device import choose_devices, named_peak
from clipfarm_encode.models.vjepa2.network import CONFIGS

pytestmark = pytest.mark.torch


def machine(monkeypatch, cuda, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("asked", "cuda", "mps", "found"),
    [
        ("auto", 2, False, ["cuda:0", "cuda:1"]),
        ("auto", 0, True, ["mps"]),
        ("auto", 0, False, ["cpu"]),
        ("cpu", 2, False, ["cpu"]),
        ("cuda", 3, False, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", 3, False, ["cuda:1"]),
        ("cuda:1,3", 4, False, ["cuda:1", "cuda:3"]),
        ("cuda:2,0", 3, False, ["cuda:2", "cuda:0"]),
    ],
)
def test_all_devices_of_a_kind_are_used_or_those_that_are_named(monkeypatch, asked, cuda, mps, found):
    machine(monkeypatch, cuda, mps)
    assert [str(device) for device in choose_devices(asked)] == found


@pytest.mark.parametrize(
    ("asked", "cuda", "message"),
    [
        ("cuda", 0, "device: cuda is not there; this machine has cpu"),
        ("cuda:0", 0, "device: cuda:0 is not there; this machine has cpu"),
        ("mps", 2, "device: mps is not there; this machine has cuda, cpu"),
        ("cuda:1,3", 3, "device: cuda:3 is not there; this machine has cuda:0, cuda:1, cuda:2"),
        ("cuda:1,1", 3, "device: cuda:1 is named twice in cuda:1,1"),
        *(
            (asked, 3, f"device: found {asked}, expected auto, cpu, mps, cuda, or numbers as in cuda:1,3")
            for asked in (
                "tpu",
                "",
                "cuda:",
                "cuda:a",
                "cuda:1,",
                "cuda:-1",
                "cuda:0,cuda:1",
                "cpu:0",
                "auto:1",
                "CUDA",
            )
        ),
    ],
)
def test_a_device_that_is_not_there_is_refused_and_the_cpu_not_taken_in_its_place(monkeypatch, asked, cuda, message):
    machine(monkeypatch, cuda)
    with pytest.raises(ValueError, match=f"^{message}$"):
        choose_devices(asked)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("Tesla V100-SXM2-16GB", 125e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 5090", None),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA H200 MIG 1g.18gb", None),  # a seventh of the GPU, or more
    ],
)
def test_the_peak_is_known_by_name_or_not_at_all(name, peak):
    assert named_peak(name) == peak


@pytest.mark.parametrize(
    ("model", "frames", "teraflop"),
    # 2 x parameters x tokens and 4 x tokens^2 x width x layers, as the paper's ViT-L of 304 million parameters
    [("vjepa2_vitl16", 16, 1.66), ("vjepa2_vitl16", 32, 4.14), ("vjepa2_vitl16", 64, 11.6)],
)
def test_operations_of_a_clip_are_counted(model, frames, teraflop):
    assert CONFIGS[model].flop(frames, 256, 256) / 1e12 == pytest.approx(teraflop, rel=0.01)

import pytest
import torch

from clipfarm_encode.device import Lane, choose_devices, named_peak
from clipfarm_encode.encoder import get_encoder
from clipfarm_encode.vjepa2 import CONFIGS, Config, VJEPA2Encoder, random_state

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
    ],
)
def test_all_devices_of_a_kind_are_used(monkeypatch, asked, cuda, mps, found):
    machine(monkeypatch, cuda, mps)
    assert [str(device) for device in choose_devices(asked)] == found


def test_a_device_that_is_not_there_is_refused_and_the_cpu_not_taken_in_its_place(monkeypatch):
    machine(monkeypatch, 0)
    with pytest.raises(ValueError, match="device: cuda is not there; this machine has cpu"):
        choose_devices("cuda")


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
    ],
)
def test_the_peak_is_known_by_name_or_not_at_all(name, peak):
    assert named_peak(name) == peak


# The models' heads and depth; widths that a CPU computes in a second.
@pytest.mark.parametrize("config", [Config(width=256, layers=24, heads=4), CONFIGS["vjepa2_tiny16"]])
def test_half_precision_stays_within_a_cosine_of_0_999_of_float32_for_every_token(config):
    video = [torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))]

    def compute(half):
        model = VJEPA2Encoder(config).eval()
        model.load_state_dict(random_state(config, 0))
        if half:
            for module in model.modules():
                if isinstance(module, torch.nn.Linear):
                    module.to(half)
        return torch.from_numpy(Lane(model, torch.device("cpu"), torch.float32, half).launch(video)()[0])

    cosine = torch.nn.functional.cosine_similarity(compute(None), compute(torch.bfloat16), dim=-1)
    assert cosine.min() >= 0.999


@pytest.mark.parametrize(
    ("model", "frames", "teraflop"),
    # 2 x parameters x tokens and 4 x tokens^2 x width x layers, as the paper's ViT-L of 304 million parameters
    [("vjepa2_vitl16", 16, 1.66), ("vjepa2_vitl16", 32, 4.14), ("vjepa2_vitl16", 64, 11.6)],
)
def test_operations_of_a_clip_are_counted(model, frames, teraflop):
    assert CONFIGS[model].flop(frames, 256, 256) / 1e12 == pytest.approx(teraflop, rel=0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_with_little_memory_batches_shrink_until_they_fit():
    encoder = get_encoder("vjepa2_tiny16", weights="random", device="cuda", batch_size=64)
    clips = [torch.randint(0, 256, (32, 3, 256, 256), dtype=torch.uint8) for _ in range(64)]
    held = torch.cuda.memory_reserved() + 2**30
    torch.cuda.set_per_process_memory_fraction(held / torch.cuda.get_device_properties(0).total_memory)
    try:
        assert all(each.shape == (4096, 192) for each in encoder.encode(clips))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert encoder.sizes.size((32, 3, 256, 256)) < 64

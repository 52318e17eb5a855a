import numpy as np
import pytest
import torch

from clipfarm_encode.models.encoder import get_encoder
from clipfarm_encode.models.vjepa2 import packed
from clipfarm_encode.models.vjepa2.network import CONFIGS, Config
from clipfarm_encode.models.vjepa2.packed import PackedLinear, pack
from unit.encode.made_up import load_network, reference

pytestmark = pytest.mark.torch


@pytest.fixture
def video():
    return torch.randn(2, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_a_packed_model_gives_the_features_of_transformers(tmp_path, monkeypatch, video):
    config = Config(width=128, layers=2, heads=2, mlp_ratio=48 / 11)
    oracle = reference(config)
    oracle.save_pretrained(tmp_path)
    monkeypatch.setitem(CONFIGS, "vjepa2_shape", config)
    model, _ = load_network("vjepa2_shape", str(tmp_path))
    if not pack(model):
        pytest.skip("not on this processor")
    assert sum(isinstance(module, PackedLinear) for module in model.modules()) == 1 + 2 * 4
    assert not any(isinstance(module, torch.nn.Linear) for module in model.modules())
    with torch.inference_mode():
        difference = model(video) - oracle.encoder(video).last_hidden_state
    assert difference.abs().max() <= 1e-4


def test_where_the_operators_are_missing_the_layers_stay(monkeypatch, video):
    model, _ = load_network("vjepa2_tiny16", "random")
    with torch.inference_mode():
        before = model(video)
        monkeypatch.setattr(packed, "_works", lambda: False)
        assert not pack(model)
        assert torch.equal(model(video), before)


@pytest.mark.parametrize("break_with", [AttributeError, RuntimeError, TypeError])
def test_operators_that_fail_are_not_used(monkeypatch, break_with):
    def fail(*_, **__):
        raise break_with("no such operator")

    monkeypatch.setattr(packed, "PackedLinear", fail)
    assert not packed._works()


def test_features_do_not_depend_on_the_number_of_threads():
    encoder = get_encoder("vjepa2_tiny16", weights="random", device="cpu", crop_size=64)
    clip = torch.randint(0, 256, (6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(next(encoder.encode([clip])))
    finally:
        torch.set_num_threads(threads)
    assert [np.array_equal(each, found[0]) for each in found] == [True] * 3

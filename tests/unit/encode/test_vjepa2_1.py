"""V-JEPA 2.1. No library has it, so the oracle is transformers' V-JEPA 2 with the four differences written in here."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers.models.vjepa2 import modeling_vjepa2

from clipfarm_contract.models import Facts, facts
from clipfarm_encode import get_encoder
from clipfarm_encode.models.base import Output
from clipfarm_encode.models.fitting import WeightsError
from clipfarm_encode.models.preprocess import normalise
from clipfarm_encode.models.vjepa2.half import halved
from clipfarm_encode.models.vjepa2.network import CONFIGS, LAYER_NORM_EPS, Config, VJEPA2Encoder
from clipfarm_encode.models.vjepa2.operations import Plain
from unit.encode.made_up import load_network, published, reference

pytestmark = pytest.mark.torch

SMALL = Config(width=96, layers=4, heads=2, paired=True, rows=16, levels=(1, 2, 3, 4), average="ema_encoder")
NAME = "vjepa2_1_small"
TRAINED_ROWS = 256 // 16


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(CONFIGS, NAME, SMALL)


class Oracle:
    """transformers' model, and what V-JEPA 2.1 has beside it."""

    def __init__(self, monkeypatch, crop, frames):
        self.model = reference(SMALL, crop, frames)
        generator = torch.Generator().manual_seed(3)
        self.more = {
            "video_mod_embed": torch.randn(1, 1, SMALL.width, generator=generator),
            "img_mod_embed": torch.randn(1, 1, SMALL.width, generator=generator),
            "patch_embed_img.proj.weight": torch.randn(SMALL.width, 3, 1, 16, 16, generator=generator),
            "patch_embed_img.proj.bias": torch.randn(SMALL.width, generator=generator),
        }
        for i in range(4):
            self.more[f"norms_block.{i}.weight"] = torch.randn(SMALL.width, generator=generator)
            self.more[f"norms_block.{i}.bias"] = torch.randn(SMALL.width, generator=generator)
        monkeypatch.setattr(modeling_vjepa2, "rotate_queries_or_keys", paired_rotation)
        attention = modeling_vjepa2.VJEPA2RopeAttention
        plain = attention.get_position_ids
        rows = crop // 16

        def stretched(self, x, masks=None):
            frame, row, column = plain(self, x, masks)
            return frame, *(each * (TRAINED_ROWS - 1) / (rows - 1) for each in (row, column))

        monkeypatch.setattr(attention, "get_position_ids", stretched)
        embeddings = self.model.encoder.embeddings
        embeddings.register_forward_hook(lambda _module, _inputs, tokens: tokens + self.more["video_mod_embed"])

    def state(self):
        state = {name: tensor for name, tensor in published(self.model).items() if "backbone.norm." not in name}
        return state | {f"module.backbone.{name}": tensor for name, tensor in self.more.items()}

    def level(self, video, block):
        states = self.model(video, skip_predictor=True, output_hidden_states=True).hidden_states
        weight, bias = (self.more[f"norms_block.{block - 1}.{kind}"] for kind in ("weight", "bias"))
        return functional.layer_norm(states[block], (SMALL.width,), weight, bias, LAYER_NORM_EPS)


def paired_rotation(x, pos):
    """Turn the pairs (0, 1), (2, 3), ... of vectors by angles that the two of a pair share, as complex numbers."""
    half = x.shape[-1] // 2
    angles = pos[..., None].to(torch.float64) * 10_000.0 ** -(torch.arange(half, dtype=torch.float64) / half)
    turned = torch.view_as_complex(x.to(torch.float64).unflatten(-1, (half, 2))) * torch.exp(1j * angles)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def write(path, state, key="ema_encoder"):
    torch.save({key: state, "encoder": {}, "predictor": {}}, path)
    return str(path)


@pytest.mark.parametrize(("crop", "frames"), [(384, 2), (256, 2), (64, 8)])
def test_features_are_those_of_the_oracle_at_every_level_and_size(crop, frames, tmp_path, monkeypatch):
    oracle = Oracle(monkeypatch, crop, frames)
    network, weights = load_network(NAME, write(tmp_path / "small.pt", oracle.state()))
    video = torch.randn(1, frames, 3, crop, crop, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert (network(video) - oracle.level(video, 4)).abs().max() <= 2e-4
        for block, found in zip((1, 3), network.outputs(video, Output(layers=(1, 3))), strict=True):
            assert (found - oracle.level(video, block)).abs().max() <= 2e-4
    assert weights.key == "ema_encoder"


def test_each_of_the_differences_counts(tmp_path, monkeypatch):
    oracle = Oracle(monkeypatch, 64, 4)
    path = write(tmp_path / "small.pt", oracle.state())
    video = torch.randn(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = oracle.level(video, 4)
        for change in ({"paired": False}, {"rows": None}, {"rows": 24}):
            fields = {name: getattr(SMALL, name) for name in SMALL.__slots__} | change
            monkeypatch.setitem(CONFIGS, NAME, Config(**fields))
            assert (load_network(NAME, path)[0](video) - expected).abs().max() > 1e-2
        monkeypatch.setitem(CONFIGS, NAME, SMALL)
        network, _ = load_network(NAME, path)
        network.video_mod_embed = nn.Parameter(torch.zeros_like(network.video_mod_embed), requires_grad=False)
        assert (network(video) - expected).abs().max() > 1e-2


def test_the_model_in_half_precision_is_the_model(tmp_path, monkeypatch):
    network, _ = load_network(NAME, write(tmp_path / "small.pt", Oracle(monkeypatch, 64, 4).state()))
    video = torch.randint(0, 256, (2, 4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    output = Output(layers=(2, 4))
    with torch.inference_mode():
        expected = network.outputs(normalise(video), output)
        plain = Plain(torch.float32, torch.float32)
        found, _ = halved(network, torch.float32, torch.device("cpu"), plain)(video, output)
    for ours, own in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, own, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("module.backbone.video_mod_embed"), "key video_mod_embed is missing$"),
        (lambda state: state.pop("module.backbone.img_mod_embed"), "key img_mod_embed is missing$"),
        (lambda state: state.pop("module.backbone.norms_block.2.bias"), r"key norms_block\.2\.bias is missing$"),
        (
            lambda state: state.update({"module.backbone.norm.weight": torch.ones(96)}),
            r"key norm\.weight belongs to no part of the model$",
        ),
    ],
)
def test_keys_that_do_not_fit_stop_with_their_names(change, message, tmp_path, monkeypatch):
    state = Oracle(monkeypatch, 64, 4).state()
    change(state)
    with pytest.raises(WeightsError, match=message):
        load_network(NAME, write(tmp_path / "small.pt", state))


def test_a_file_without_the_average_says_what_it_holds(tmp_path, monkeypatch):
    path = write(tmp_path / "small.pt", Oracle(monkeypatch, 64, 4).state(), key="target_encoder")
    with pytest.raises(WeightsError, match="entry ema_encoder is missing; found: target_encoder, encoder, predictor"):
        load_network(NAME, path)


def test_weights_of_v_jepa_2_are_no_weights_of_2_1(tmp_path):
    path = tmp_path / "vitl.pt"
    torch.save({"ema_encoder": published(reference(SMALL))}, path)
    with pytest.raises(WeightsError, match=r"key video_mod_embed is missing, and \d+ more"):
        load_network(NAME, str(path))


def test_a_folder_is_refused_by_name(tmp_path):
    with pytest.raises(WeightsError, match=r"a folder, expected a file of the release \(.pt\)"):
        load_network(NAME, str(tmp_path))


@pytest.mark.parametrize(
    ("name", "million"),
    [("vjepa2_1_vitb16", 86), ("vjepa2_1_vitl16", 304), ("vjepa2_1_vitg16", 1012), ("vjepa2_1_vitgigantic16", 1841)],
)
def test_published_models_are_as_large_as_their_names_say(name, million):
    with torch.device("meta"):
        network = VJEPA2Encoder(CONFIGS[name])
    assert round(sum(each.numel() for each in network.parameters()) / 1e6) == pytest.approx(million, rel=0.02)
    assert facts(name) == Facts(2, 16, CONFIGS[name].width, CONFIGS[name].layers)


def test_it_encodes_at_384_pixels_and_a_row_alone_has_position_0():
    encoder = get_encoder("vjepa2_1_tiny16", "random", "cpu", crop_size=384)
    clip = torch.randint(0, 256, (2, 3, 384, 384), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    (found,) = encoder.encode([clip])
    assert found.shape == (24 * 24, 192)
    small = get_encoder("vjepa2_1_tiny16", "random", "cpu", crop_size=16)
    (found,) = small.encode([clip[..., :16, :16].contiguous()])
    assert found.shape == (1, 192)
    assert torch.from_numpy(found).isfinite().all()

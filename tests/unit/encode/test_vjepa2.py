import pytest
import torch

from clipfarm_contract.models import Facts, facts
from clipfarm_encode.models.base import Output
from clipfarm_encode.models.vjepa2.network import CONFIGS, Config, VJEPA2Encoder, random_state
from clipfarm_encode.models.vjepa2.rope import rope_tables
from unit.encode.made_up import empty_reference, load_network, reference

pytestmark = pytest.mark.torch

# config, frames, crop; head sizes 64, 80 and 24 leave 4, 2 and 0 dimensions that do not turn
SHAPES = {
    "ViT-L's head, and its grid at 256 pixels": (Config(width=128, layers=2, heads=2), 4, 256),
    "ViT-H's head": (Config(width=160, layers=2, heads=2), 6, 96),
    "ViT-g's MLP": (Config(width=128, layers=2, heads=2, mlp_ratio=48 / 11), 4, 64),
    "a head that turns wholly": (Config(width=48, layers=3, heads=2), 4, 48),
    "64 frames": (Config(width=64, layers=2, heads=1), 64, 32),
    "one tubelet": (Config(width=64, layers=1, heads=1), 2, 16),
    "the small model": (CONFIGS["vjepa2_tiny16"], 16, 64),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_features_are_those_of_transformers(shape, tmp_path, monkeypatch):
    config, frames, crop = SHAPES[shape]
    oracle = reference(config, crop, frames)
    oracle.save_pretrained(tmp_path)
    monkeypatch.setitem(CONFIGS, "vjepa2_shape", config)
    model, _ = load_network("vjepa2_shape", str(tmp_path))
    video = torch.randn(2, frames, 3, crop, crop, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = oracle.encoder(video).last_hidden_state
        found = model(video)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-4


def test_layers_are_the_hidden_states_of_transformers(tmp_path, monkeypatch):
    config = Config(width=128, layers=4, heads=2)
    oracle = reference(config, 64, 8)
    oracle.save_pretrained(tmp_path)
    monkeypatch.setitem(CONFIGS, "vjepa2_shape", config)
    model, _ = load_network("vjepa2_shape", str(tmp_path))
    video = torch.randn(2, 8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        states = oracle(video, skip_predictor=True, output_hidden_states=True).hidden_states  # the first: tubelets
        normed = [oracle.encoder.layernorm(states[number]) for number in (1, 3)]
        for found, expected in zip(model.outputs(video, Output(layers=(1, 3))), normed, strict=True):
            assert (found - expected).abs().max() <= 1e-4
        (raw,) = model.outputs(video, Output(layers=(2,), norm=False))
        assert (raw - states[2]).abs().max() <= 1e-4
        (last,) = model.outputs(video, Output(layers=(3,), last=1))
        assert torch.equal(last, model.outputs(video, Output(layers=(3,)))[0][:, -16:])
        (means,) = model.outputs(video, Output(layers=(3,), last=2, pool="space"))
        expected = normed[1].view(2, 4, 16, 128).mean(dim=2)[:, -2:]
        assert (means - expected).abs().max() <= 1e-4


def test_a_video_that_is_not_square_is_laid_out_in_rows_of_its_own_width():
    cos, sin = rope_tables((2, 3, 5), 64, torch.device("cpu"))
    assert cos.shape == sin.shape == (30, 64)
    row_1_column_4 = 5 + 4
    assert sin[row_1_column_4, 0] == 0  # first frame
    assert sin[row_1_column_4, 20] == pytest.approx(torch.sin(torch.tensor(1.0)).item())
    assert sin[row_1_column_4, 40] == pytest.approx(torch.sin(torch.tensor(4.0)).item())
    assert (sin[:, 60:] == 0).all()
    assert (cos[:, 60:] == 1).all()


@pytest.mark.parametrize("model", [name for name, config in CONFIGS.items() if not config.levels])
def test_models_of_the_family_have_as_many_parameters_as_in_transformers(model):
    config = CONFIGS[model]
    with torch.device("meta"):
        ours, theirs = VJEPA2Encoder(config), empty_reference(config).encoder
    assert count(ours) == count(theirs)


def test_vit_l_has_the_304_million_parameters_that_its_paper_gives_it():
    with torch.device("meta"):
        assert round(count(VJEPA2Encoder(CONFIGS["vjepa2_vitl16"])) / 1e6) == 304


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 3, 32, 32), "frames: 3 is not a multiple of 2"),
        ((1, 2, 3, 40, 32), "height: 40 is not a multiple of 16"),
        ((1, 2, 3, 32, 40), "width: 40 is not a multiple of 16"),
        ((1, 0, 3, 32, 32), "frames: 0 is not a multiple of 2"),
    ],
)
def test_a_video_that_cannot_be_cut_into_tubelets_is_refused(shape, message):
    config = Config(width=24, layers=1, heads=1)
    model = VJEPA2Encoder(config)
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(shape))


def test_rotary_tables_stay_in_float32_when_the_weights_do_not():
    config = CONFIGS["vjepa2_tiny16"]
    model = VJEPA2Encoder(config).eval()
    model.load_state_dict(random_state(config, 0))
    video = torch.randn(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        full = model(video)
        half = model.to(torch.bfloat16)(video.to(torch.bfloat16)).float()
    assert torch.nn.functional.cosine_similarity(full, half, dim=-1).min() > 0.999


def test_random_weights_are_the_same_for_the_same_seed():
    config = CONFIGS["vjepa2_tiny16"]
    first, again, other = random_state(config, 0), random_state(config, 0), random_state(config, 1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["blocks.0.attn.qkv.weight"], other["blocks.0.attn.qkv.weight"])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_models_numbers_are_those_that_its_name_stands_for(name):
    config = CONFIGS[name]
    assert facts(name) == Facts(config.tubelet, config.patch, config.width, config.layers)

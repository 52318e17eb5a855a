import json
import subprocess
import sys

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config

from clipfarm_encode import get_encoder
from clipfarm_encode.models.base import Output
from clipfarm_encode.models.catalogue import load_model
from clipfarm_encode.models.fitting import WeightsError
from clipfarm_encode.models.preprocess import normalise, resize_and_crop

pytestmark = pytest.mark.torch

# Positions that are learnt and interpolated; rotary ones, with registers; none, with a mean in place of a class token;
# convolutions, whose tokens are the pixels of the last map. timm's own small models for tests are among them.
MODELS = {
    "vit_tiny_patch16_224": 96,
    "vit_small_patch14_dinov2.lvd142m": 56,
    "vit_small_patch16_dinov3.lvd1689m": 64,
    "test_vit3": 160,
    "test_convnext": 64,
    "test_resnet": 64,
}
SMALL = "test_vit"


def oracle(name, **more):
    """Return timm's model with every weight random."""
    any_size = {"dynamic_img_size": True} if "vit" in name else {}
    model = timm.create_model(name, **({"num_classes": 0} | any_size | more)).eval()
    generator = torch.Generator().manual_seed(1)
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and "running_var" not in key:
            tensor.add_(torch.empty(tensor.shape).normal_(std=0.05, generator=generator))
    return model


def written(model, path):
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return str(path)


def pixels(frames, size):
    return torch.randn(2, frames, 3, size, size, generator=torch.Generator().manual_seed(0))


def own_forward(model, frames):
    """Return the patches of timm's own forward pass, (frames, tokens, width)."""
    features = model.forward_features(frames)
    if features.ndim == 4:
        return features.flatten(2).transpose(1, 2)
    return features[:, model.num_prefix_tokens :]


@pytest.mark.parametrize("name", MODELS)
def test_features_are_those_of_timms_own_forward_pass_frame_by_frame(name, tmp_path):
    model = oracle(name)
    loaded, weights = load_model(f"timm:{name}", written(model, tmp_path / "model.safetensors"))
    video = pixels(3, MODELS[name])
    with torch.inference_mode():
        (found,) = loaded.network.outputs(video)
        expected = own_forward(model, video.flatten(0, 1)).reshape(found.shape)
    assert found.shape == (2, loaded.tokens(3, MODELS[name], MODELS[name]), loaded.width)
    assert (found - expected).abs().max() <= 1e-5
    assert weights.source == "model.safetensors"


def test_layers_are_those_of_timm_normed_or_not(tmp_path):
    model = oracle("vit_tiny_patch16_224")
    loaded, _ = load_model("timm:vit_tiny_patch16_224", written(model, tmp_path / "model.safetensors"))
    video = pixels(2, 32)
    with torch.inference_mode():
        _, normed = model.forward_intermediates(video.flatten(0, 1), norm=True, output_fmt="NLC")
        _, raw = model.forward_intermediates(video.flatten(0, 1), output_fmt="NLC")
        for found, number in zip(loaded.network.outputs(video, Output(layers=(3, 12))), (3, 12), strict=True):
            assert (found.reshape(4, 4, 192) - normed[number - 1]).abs().max() <= 1e-5
        (last,) = loaded.network.outputs(video, Output(layers=(5,), norm=False, last=1))
        assert (last - raw[4].reshape(2, 2, 4, 192)[:, 1]).abs().max() <= 1e-5
        (mean,) = loaded.network.outputs(video, Output(pool="space"))
        assert (mean - normed[11].reshape(2, 2, 4, 192).mean(dim=2)).abs().max() <= 1e-5


def test_a_frame_knows_nothing_of_the_others():
    encoder = get_encoder(f"timm:{SMALL}", "random", "cpu", crop_size=32)
    clip = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    changed = clip.clone()
    changed[2:] = 0
    before, after = encoder.encode([clip, changed])
    per_frame = encoder.model.tokens(1, 32, 32)
    assert before[: 2 * per_frame].tobytes() == after[: 2 * per_frame].tobytes()
    assert before[2 * per_frame :].tobytes() != after[2 * per_frame :].tobytes()


def test_features_do_not_depend_on_the_number_of_threads_or_on_the_batch():
    threads = torch.get_num_threads()
    clips = [
        torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
        for seed in range(3)
    ]
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            encoder = get_encoder("timm:vit_tiny_patch16_224", "random", "cpu", crop_size=64)
            found.append([each.tobytes() for each in encoder.encode(clips)])
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2", "vit_base_patch16_siglip_256", "test_vit"])
def test_pictures_are_prepared_as_timm_does_it(name):
    encoder_side = load_model("timm:test_vit", "random")[0]  # any model: the name decides
    encoder_side._name = f"timm:{name}"
    config = resolve_data_config(pretrained_cfg=timm.models.get_pretrained_cfg(name).to_dict())
    crop = config["input_size"][-1]
    frames = torch.randint(0, 256, (1, 3, 200, 300), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = create_transform(**config)(Image.fromarray(frames[0].permute(1, 2, 0).numpy()))
    preprocessing = encoder_side.preprocessing(crop)
    found = normalise(resize_and_crop(frames, preprocessing), preprocessing.statistics)[0]
    assert found.shape == expected.shape
    one_level = 1 / 255 / min(config["std"])
    difference = (found - expected).abs()  # of noise, where rounding shows most: both round after each direction
    assert difference.max() <= 2.01 * one_level
    assert difference.mean() <= 0.05 * one_level


def test_the_sidecar_says_how_and_under_which_licence(tmp_path):
    model = oracle("vit_small_patch16_dinov3")
    path = written(model, tmp_path / "model.safetensors")
    encoder = get_encoder("timm:vit_small_patch16_dinov3.lvd1689m", path, "cpu")
    assert encoder.weights.to_json()["licence"] == "dinov3-license"
    assert encoder.preprocessing.to_json() == {
        "resize": 256,
        "crop": 256,
        "interpolation": "bicubic",
        "antialias": True,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }


@pytest.mark.parametrize(
    ("name", "crop", "message"),
    [
        ("vit_smal_patch14_dinov2", 224, r"has no model vit_smal_patch14_dinov2; did you mean timm:vit_small_patch14"),
        ("nothing-like-it", 224, r"timm [\d.]+ has no model nothing-like-it$"),
        ("vit_small_patch14_dinov2.nonsense", 224, r"Invalid pretrained tag \(nonsense\)"),
        ("vit_small_patch14_dinov2", 256, r"crop_size: 256 is not a multiple of 14, the .*; its own size is 518"),
        ("mixer_s16_224", 256, "crop_size: found 256, expected 224, the size that"),
    ],
)
def test_what_cannot_work_is_refused_before_weights_are_read(name, crop, message):
    with pytest.raises(ValueError, match=message):
        get_encoder(f"timm:{name}", "nowhere", "cpu", crop_size=crop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("blocks.0.norm1.bias"), r"key blocks\.0\.norm1\.bias is missing$"),
        (lambda state: state.update({"more": torch.zeros(1)}), "key more belongs to no part of the model"),
        (lambda state: state.update({"norm.bias": torch.zeros(7)}), r"key norm\.bias has shape \(7,\), expected"),
    ],
)
def test_weights_that_do_not_fit_stop_with_their_names(change, message, tmp_path):
    state = {name: tensor.clone() for name, tensor in oracle(SMALL).state_dict().items()}
    change(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=message):
        load_model(f"timm:{SMALL}", str(tmp_path / "model.safetensors"))


def test_a_classifier_in_the_file_is_left_out(tmp_path):
    path = written(oracle(SMALL, num_classes=10), tmp_path / "model.safetensors")
    assert load_model(f"timm:{SMALL}", path)[1].key is None


def test_a_pickle_and_a_folder_hold_the_same_model(tmp_path):
    model = oracle(SMALL)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "small.pth")
    written(model, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": SMALL, "pretrained_cfg": {"tag": "r160_in1k"}}))
    first, second = (load_model(f"timm:{SMALL}", str(path))[0] for path in (tmp_path / "small.pth", tmp_path))
    for ours, theirs in zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architecture": "vit_tiny_patch16_224"}, "architecture is 'vit_tiny_patch16_224', expected 'test_vit'"),
        ({"architecture": SMALL, "pretrained_cfg": {"tag": "other"}}, "name the model timm:test_vit.other"),
    ],
)
def test_a_folder_of_another_model_is_refused(config, message, tmp_path):
    written(oracle(SMALL), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=message):
        load_model(f"timm:{SMALL}", str(tmp_path))


def test_a_pass_is_counted_without_computing_it():
    model, _ = load_model("timm:vit_tiny_patch16_224", "random")
    # 1.26 GMAC a picture of 224 pixels, of which attention is a tenth (timm's own list of results).
    assert model.flop(1, 224, 224) == pytest.approx(2 * 1.26e9, rel=0.03)
    assert model.flop(4, 224, 224) == 4 * model.flop(1, 224, 224)
    assert model.flop(4, 224, 224, Output(layers=(6,))) < 0.6 * model.flop(4, 224, 224)


def test_timm_is_imported_only_for_its_own_models():
    code = (
        "import sys; from clipfarm_encode import get_encoder; get_encoder('vjepa2_tiny16', 'random', 'cpu');"
        "print('timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"

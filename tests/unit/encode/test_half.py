import pytest
import torch
from torch.nn import functional

from clipfarm_encode.models.base import Output
from clipfarm_encode.models.preprocess import normalise
from clipfarm_encode.models.vjepa2.half import halved, representable
from clipfarm_encode.models.vjepa2.kernels import KernelError, compile_kernels, macros
from clipfarm_encode.models.vjepa2.network import CONFIGS, Config, VJEPA2Encoder, random_state
from clipfarm_encode.models.vjepa2.operations import Fused, Plain
from unit.encode.emulated import Emulated

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
HALVES = [torch.float16, torch.bfloat16]
# Depth and head of ViT-L, head of ViT-H, MLP of ViT-g, and the small model; widths that a CPU computes in a second.
SHAPES = {
    "ViT-L": Config(width=128, layers=24, heads=2),
    "ViT-H": Config(width=160, layers=2, heads=2),
    "ViT-g": Config(width=128, layers=2, heads=2, mlp_ratio=48 / 11),
    "small": CONFIGS["vjepa2_tiny16"],
}


def made_up(config):
    """Return a model with every weight random: biases and norms too."""
    model = VJEPA2Encoder(config).eval().requires_grad_(False)
    model.load_state_dict(random_state(config, 0))
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_(std=0.1, generator=generator)
        elif "norm" in name:
            parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


def pixels(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def distance(found, expected):
    """Return the largest 1 - cosine of a token."""
    return 1 - functional.cosine_similarity(found.double(), expected.double(), dim=-1).min().item()


# Float32 shows that the formulas are the same; half precision, what rounding costs.
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-12), (torch.float16, 3e-6), (torch.bfloat16, 2e-4)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_model_in_half_precision_is_the_model(shape, dtype, bound):
    model, video = made_up(SHAPES[shape]), pixels(2, 4, 3, 32, 48)
    with torch.inference_mode():
        expected = model(normalise(video))
        (found,), overflowed = halved(model, dtype, CPU, Plain(dtype, torch.float32))(video)
    assert distance(found, expected) < bound
    assert overflowed.tolist() == [0, 0]


@pytest.mark.parametrize(
    "output",
    [
        Output(layers=(1, 3), norm=True),
        Output(layers=(2,), norm=False),
        Output(last=1),
        Output(layers=(3, 4), norm=False, last=1, pool="space"),
        Output(pool="space"),
    ],
    ids=str,
)
def test_every_output_in_half_precision_is_the_models(output, tmp_path):
    model, video = made_up(SHAPES["small"]), pixels(2, 4, 3, 32, 48)
    fused = Fused(
        Emulated(tmp_path, torch.float16, model.config.width, torch.float32).launch, torch.float16, torch.float32
    )
    plain = Plain(torch.float32, torch.float32)
    with torch.inference_mode():
        expected = model.outputs(normalise(video), output)
        exact, _ = halved(model, torch.float32, CPU, plain)(video, output)
        found, overflowed = halved(model, torch.float16, CPU, fused)(video, output)
    for ours, half, own in zip(exact, found, expected, strict=True):
        torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-4)
        assert distance(half, own) < 3e-6
    assert overflowed.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("shape", ["ViT-H", "small"])
def test_the_kernels_compute_what_pytorch_does(shape, dtype, tmp_path):
    config, video = SHAPES[shape], pixels(2, 4, 3, 32, 48)
    kernels = Emulated(tmp_path, dtype, config.width, torch.float32)
    exact = Plain(torch.float32, torch.float32)
    fused = Fused(kernels.launch, dtype, torch.float32)
    model = made_up(config)
    with torch.inference_mode():
        (expected,), _ = halved(model, torch.float32, CPU, exact)(video)
        (found,), overflowed = halved(model, dtype, CPU, fused)(video)
    assert distance(found, expected) < (3e-6 if dtype is torch.float16 else 2e-4)
    assert overflowed.tolist() == [0, 0]
    assert kernels.launched == [
        "tubelets",
        *["layer_norm", "rope", "layer_norm"] * config.layers,
        "last_layer_norm",
    ]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("width", [192, 1408])
def test_each_kernel_differs_from_pytorch_by_rounding_alone(width, dtype, tmp_path):
    generator = torch.Generator().manual_seed(2)
    fused = Fused(Emulated(tmp_path, dtype, width, torch.float16).launch, dtype, torch.float16)
    plain = Plain(dtype, torch.float16)
    x = (torch.randn(21, width, generator=generator) * 3).to(dtype)
    shift, weight, bias = torch.randn(3, width, generator=generator)
    step = torch.finfo(dtype).eps

    def close(found, expected):
        torch.testing.assert_close(found.float(), expected.float(), rtol=step, atol=step)

    close(fused.norm(x, shift), plain.norm(x, shift))
    close(fused.last_norm(x, shift, weight, bias, 3)[0], plain.last_norm(x, shift, weight, bias, 3)[0])
    x[9, 5] = torch.inf  # of the second clip's seven tokens
    assert fused.last_norm(x, shift, weight, bias, 3)[1].tolist() == [0, 1, 0]
    assert plain.last_norm(x, shift, weight, bias, 3)[1].tolist() == [0, 1, 0]
    video = pixels(1, 2, 3, 16, 48)
    assert torch.equal(fused.tubelets(video), plain.tubelets(video))
    angles = torch.rand(7, 64, generator=generator) * 6
    qkv = torch.randn(21, 3 * width, generator=generator).to(dtype)
    turned, expected = qkv.clone(), qkv.clone()
    biases = torch.randn(2 * width, generator=generator)
    fused.rope(turned, biases, angles.cos(), angles.sin())
    plain.rope(expected, biases, angles.cos(), angles.sin())
    close(turned, expected)
    assert torch.equal(turned[:, 2 * width :], qkv[:, 2 * width :])
    assert not torch.equal(turned[:, : 2 * width], qkv[:, : 2 * width])


@pytest.mark.parametrize("fused", [True, False])
def test_values_beyond_float16_are_reported_and_bfloat16_holds_them(fused, tmp_path):
    config = CONFIGS["vjepa2_tiny16"]
    kernels = Emulated(tmp_path, torch.float16, config.width, torch.float16).launch
    operations = Fused(kernels, torch.float16, torch.float16) if fused else Plain(torch.float16, torch.float16)
    model = made_up(config)
    model.blocks[1].mlp.fc2.weight.data.mul_(3e5)  # beyond 65,504 where the hidden layer is not next to zero
    model.blocks[1].mlp.fc1.bias.data.zero_()
    model.blocks[1].norm2.bias.data.zero_()
    with torch.inference_mode():
        half = halved(model, torch.float16, CPU, operations)
        (features,), overflowed = half(pixels(2, 2, 3, 32, 32))
        assert overflowed.tolist() == [1, 1]
        assert not features.isfinite().all()
        again = half.to(CPU, torch.bfloat16, Plain(torch.bfloat16, torch.float16))
        (features,), overflowed = again(pixels(2, 2, 3, 32, 32))
    assert overflowed.tolist() == [0, 0]
    assert features.isfinite().all()


def test_weights_beyond_float16_are_noticed():
    model = made_up(CONFIGS["vjepa2_tiny16"])
    assert representable(model, torch.float16)
    model.blocks[0].mlp.fc1.weight.data[3, 5] = 1e5
    assert not representable(model, torch.float16)
    assert representable(model, torch.bfloat16)


@pytest.mark.parametrize(
    ("architecture", "dtype", "saved"),
    [
        ("sm_75", torch.float16, torch.float16),
        ("sm_80", torch.bfloat16, torch.float32),
        ("sm_90", torch.float16, torch.float16),
        ("sm_120", torch.bfloat16, torch.float16),
    ],
)
def test_the_kernels_compile_for_the_gpus_of_the_day(architecture, dtype, saved):
    assert compile_kernels(macros(dtype, 1024, saved), architecture)[1:4] == b"ELF"


def test_a_gpu_that_the_compiler_does_not_know_is_said_so():
    with pytest.raises(KernelError, match="sm_1: NVRTC_ERROR_INVALID_OPTION"):
        compile_kernels(macros(torch.float16, 1024, torch.float16), "sm_1")

"""The lane to a CUDA device, on a CPU that stands in for it: streams that are none, and kernels compiled as C."""

import contextlib
import types

import pytest
import torch

from clipfarm_encode.models.base import Output
from clipfarm_encode.models.lane import FullLane
from clipfarm_encode.models.pinned import Ring
from clipfarm_encode.models.preprocess import IMAGENET
from clipfarm_encode.models.vjepa2 import half_lane as module
from clipfarm_encode.models.vjepa2.half import halved
from clipfarm_encode.models.vjepa2.half_lane import OVERFLOWS_BEFORE_GIVING_UP, HalfLane, half_lane
from clipfarm_encode.models.vjepa2.kernels import KernelError
from clipfarm_encode.models.vjepa2.network import CONFIGS, VJEPA2Encoder, random_state
from clipfarm_encode.models.vjepa2.operations import Fused, Plain
from unit.encode.emulated import Emulated

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
CONFIG = CONFIGS["vjepa2_tiny16"]


class Stream:
    def __init__(self, device):
        pass

    def wait_stream(self, other):
        pass


class Event:
    def __init__(self, blocking):
        assert blocking

    def record(self, stream):
        pass

    def synchronize(self):
        pass


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """A CUDA device that is the CPU; its attributes say what it has."""
    device = types.SimpleNamespace(kernels=True, bfloat16=True)

    def kernels(_, options):
        if not device.kernels:
            raise KernelError("CUDA's Python bindings cannot be imported (No module named 'cuda')")
        dtype = torch.bfloat16 if "-DBFLOAT16" in options else torch.float16
        return Emulated(tmp_path, dtype, CONFIG.width, torch.float32 if "-DSAVE32" in options else torch.float16)

    for name, stand_in in {
        "Stream": Stream,
        "Event": Event,
        "stream": lambda _: contextlib.nullcontext(),
        "device": lambda _: contextlib.nullcontext(),
        "synchronize": lambda _: None,
        "is_bf16_supported": lambda including_emulation: device.bfloat16,
        "CUDAGraph": lambda: (_ for _ in ()).throw(RuntimeError("no graphs here")),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda *_: None)
    monkeypatch.setattr(module, "Kernels", kernels)
    monkeypatch.setattr(module, "Ring", lambda: Ring(lambda size: torch.empty(size, dtype=torch.uint8)))
    return device


def model(*, overflowing=False):
    made = VJEPA2Encoder(CONFIG).eval().requires_grad_(False)
    made.load_state_dict(random_state(CONFIG, 0))
    if overflowing:
        made.patch_embed.proj.weight.data[0].fill_(40.0)  # 147,000 for white pixels, 14,000 for grey ones
    return made


def clip(value=None):
    if value is not None:
        return torch.full((2, 3, 32, 32), value, dtype=torch.uint8)
    return torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def distance(one, other):
    cosines = torch.nn.functional.cosine_similarity(torch.from_numpy(one), torch.from_numpy(other), dim=-1)
    return 1 - cosines.double().min().item()


@pytest.mark.parametrize("saved", [torch.float16, torch.float32])
def test_a_batch_comes_back_in_order_and_as_float32_computes_it(gpu, saved):
    clips = [clip(), clip(7), clip(250)]
    exact = FullLane(model(), IMAGENET, CPU, torch.float32).launch(clips)()
    lane = half_lane(model(), CPU, saved)
    assert isinstance(lane._model.model._operations, Fused)
    assert lane.note is None
    for _ in range(3):
        computed = lane.launch(clips)()
        assert [each.compute for each in computed] == ["float16"] * 3
        assert all(each.features[0].dtype == str(saved).removeprefix("torch.") for each in computed)
        for found, expected in zip(computed, exact, strict=True):
            assert distance(found.features[0].astype("float32"), expected.features[0]) < 1e-5


def test_layers_come_back_side_by_side_and_pooled(gpu):
    output = Output(layers=(2, 4), last=1, pool="space")
    clips = [clip(), clip(7)]
    exact = FullLane(model(), IMAGENET, CPU, torch.float32).launch(clips, output)()
    found = half_lane(model(), CPU, torch.float32).launch(clips, output)()
    for ours, expected in zip(found, exact, strict=True):
        assert [each.shape for each in ours.features] == [(1, CONFIG.width)] * 2
        for layer, other in zip(ours.features, expected.features, strict=True):
            assert distance(layer, other) < 1e-5


def test_a_lane_that_saves_another_type_shares_the_model(gpu):
    lane = half_lane(model(), CPU, torch.float16)
    other = lane.saving(torch.float32)
    assert other._model.model._patch.data_ptr() == lane._model.model._patch.data_ptr()
    found, expected = (each.launch([clip()])()[0].features[0] for each in (other, lane))
    assert found.dtype == "float32"
    assert (found.astype("float16") == expected).all()


def test_the_next_batch_may_be_launched_before_the_last_one_is_fetched(gpu):
    lane = half_lane(model(), CPU, torch.float32)
    alone = [lane.launch([each])()[0].features[0].copy() for each in (clip(), clip(7))]
    waiting = [lane.launch([clip()]), lane.launch([clip(7)])]
    assert [wait()[0].features[0].tobytes() for wait in waiting] == [each.tobytes() for each in alone]


def test_without_kernels_pytorch_computes_and_a_line_says_so(gpu):
    gpu.kernels = False
    lane = half_lane(model(), CPU, torch.float32)
    assert isinstance(lane._model.model._operations, Plain)
    assert lane.note == (
        "the encoder's CUDA kernels cannot be used, so it is slower than it could be: "
        "CUDA's Python bindings cannot be imported (No module named 'cuda')"
    )
    exact = FullLane(model(), IMAGENET, CPU, torch.float32).launch([clip()])()
    assert distance(lane.launch([clip()])()[0].features[0], exact[0].features[0]) < 1e-5


@pytest.mark.parametrize(("bfloat16", "wider"), [(True, "bfloat16"), (False, "float32")])
def test_a_clip_beyond_float16_is_computed_again_in_a_wider_type_and_the_others_are_not(gpu, bfloat16, wider):
    gpu.bfloat16 = bfloat16
    clips = [clip(128), clip(255), clip(128)]
    lane = half_lane(model(overflowing=True), CPU, torch.float32)
    computed = lane.launch(clips)()
    assert [each.compute for each in computed] == ["float16", wider, "float16"]
    exact = FullLane(model(overflowing=True), IMAGENET, CPU, torch.float32).launch(clips)()
    for found, expected in zip(computed, exact, strict=True):
        assert distance(found.features[0], expected.features[0]) < 2e-4


def test_after_eight_clips_in_a_row_float16_is_not_tried_any_more(gpu):
    lane = half_lane(model(overflowing=True), CPU, torch.float32)
    for _ in range(OVERFLOWS_BEFORE_GIVING_UP - 1):
        lane.launch([clip(255)])()
    lane.launch([clip(128)])()
    assert lane.compute == "float16"
    lane.launch([clip(255)] * OVERFLOWS_BEFORE_GIVING_UP)()
    assert lane.compute == "bfloat16"
    assert lane.launch([clip(128)])()[0].compute == "bfloat16"


def test_weights_beyond_float16_are_computed_in_a_wider_type_from_the_start(gpu):
    wide = model()
    wide.blocks[0].mlp.fc1.weight.data[3, 5] = 1e5
    assert half_lane(wide, CPU, torch.float32).compute == "bfloat16"


def test_a_lane_on_another_device_computes_the_same(gpu):
    lane = half_lane(model(), CPU, torch.float32)
    other = lane.on(CPU)
    assert other.launch([clip()])()[0].features[0].tobytes() == lane.launch([clip()])()[0].features[0].tobytes()


def test_a_model_may_already_be_on_the_device(gpu):
    half = halved(model(), torch.float16, CPU, Plain(torch.float16, torch.float16))
    assert HalfLane(half, CPU, torch.float16).compute == "float16"

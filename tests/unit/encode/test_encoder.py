import numpy as np
import pytest
import torch

import clipfarm_encode
from clipfarm_encode import encode_single_clip, get_encoder
from clipfarm_encode.files.clips import ClipError
from clipfarm_encode.models.batch import EncodeError, OutOfMemoryError
from clipfarm_encode.models.encoder import Encoder
from clipfarm_encode.models.memory import BatchSizes, is_out_of_memory
from unit.encode.made_up import make_clip

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def encoder():
    return get_encoder("vjepa2_tiny16", weights="random", device="cpu", crop_size=32)


def test_one_encoder_serves_many_calls(encoder, tmp_path):
    clips = [make_clip(tmp_path, i) for i in range(2)]
    first, other = (encode_single_clip(encoder, clip.folder) for clip in clips)
    again = encode_single_clip(encoder, str(clips[0].folder))
    assert first.shape == (4 // 2 * 2 * 2, 192)
    assert first.dtype == np.float16
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_a_damaged_clip_raises(encoder, tmp_path):
    clip = make_clip(tmp_path, 0)
    clip.frame(0).unlink()
    with pytest.raises(ClipError):
        encode_single_clip(encoder, clip.folder)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_features_do_not_depend_on_the_others_of_a_batch(encoder, threads):
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=generator) for _ in range(4)]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    side_by_side = get_encoder("vjepa2_tiny16", weights="random", device="cpu", crop_size=32)
    torch.set_num_threads(before)
    assert side_by_side.sizes.size((6, 3, 32, 32)) == threads
    together = list(side_by_side.encode(clips))
    alone = [next(encoder.encode([clip])) for clip in clips]
    assert [each.tobytes() for each in together] == [each.tobytes() for each in alone]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "vjepa3"}, "model: vjepa3 is unknown, expected vjepa2_vitl16 or another V-JEPA 2"),
        ({"model": "vjepa3_vitl16"}, "model: vjepa3_vitl16 is unknown, expected"),
        ({"model": "lane:none"}, "model: lane:none is unknown, expected"),
        ({"model": "base_model"}, "model: base_model is unknown, expected"),
        ({"model": "vjepa2_vitl14"}, "model: vjepa2_vitl14 is none of vjepa2_vitl16, vjepa2_vith16"),
        ({"dtype": "fp64"}, "dtype: fp64 is none of fp16, fp32"),
        ({"weights": ""}, "weights: none given"),
        ({"crop_size": 250}, "crop_size: 250 is not a multiple of 16"),
        ({"device": "tpu"}, "device: found tpu, expected auto, cpu"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_by_name(arguments, message):
    defaults = {"model": "vjepa2_tiny16", "weights": "random", "device": "cpu"}
    with pytest.raises(ValueError, match=message):
        get_encoder(**(defaults | arguments))


def test_an_encoder_of_the_same_model_may_crop_otherwise_and_save_another_type(encoder):
    other = encoder.like(crop_size=16, dtype="fp32")
    assert (other.preprocessing.crop, encoder.preprocessing.crop) == (16, 32)
    clip = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    (found,), (expected,) = other.encode([clip]), encoder.encode([clip])
    assert (found.dtype, expected.dtype) == (np.float32, np.float16)
    assert (found.astype(np.float16) == expected).all()
    with pytest.raises(ValueError, match="crop_size: 40 is not a multiple of 16"):
        encoder.like(crop_size=40)


class SmallMemory:
    """A lane to a device whose memory holds ``room`` clips, and never a black one."""

    def __init__(self, lane, room, message):
        self._lane, self.room, self.message, self.sizes = lane, room, message, []

    def launch(self, clips, output):
        self.sizes.append(len(clips))
        if len(clips) > self.room or any(not clip.any() for clip in clips):
            raise RuntimeError(self.message)
        return self._lane.launch(clips, output)

    def forget(self):
        pass


def small_encoder(room, message="CUDA out of memory. Tried to allocate 2.00 GiB"):
    encoder = get_encoder("vjepa2_tiny16", weights="random", device="cpu", crop_size=32)
    encoder.sizes = BatchSizes(8)  # on the CPU it is no more than there are threads
    encoder._lane = SmallMemory(encoder._lane, room, message)
    return encoder


def test_a_batch_that_does_not_fit_is_halved_until_it_does(encoder):
    clips = [torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8) for _ in range(5)]
    small = small_encoder(room=2)
    found = list(small.encode(clips))
    assert small._lane.sizes == [5, 2, 3, 1, 2]
    assert [each.tobytes() for each in found] == [next(encoder.encode([clip])).tobytes() for clip in clips]


def test_one_clip_that_does_not_fit_does_not_take_the_others_with_it():
    clips = [torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8) for _ in range(3)]
    clips[1] = torch.zeros_like(clips[1])
    found = list(small_encoder(room=4).encode(clips))
    assert [type(each) for each in found] == [np.ndarray, OutOfMemoryError, np.ndarray]
    assert "CUDA out of memory" in str(found[1])


def test_an_error_that_is_no_lack_of_memory_is_not_taken_for_one():
    clips = [torch.zeros(2, 3, 32, 32, dtype=torch.uint8)]
    found = list(small_encoder(room=4, message="an illegal instruction\nwas met").encode(clips))
    assert type(found[0]) is EncodeError
    assert str(found[0]) == "an illegal instruction"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("GET was unable to find an engine: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("HIP out of memory. Tried to allocate"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), False),
        (MemoryError(), False),
        (RuntimeError("GPU memory: 3 GiB free"), False),
    ],
)
def test_only_the_words_of_a_gpu_allocator_count_as_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_the_package_offers_its_api_and_nothing_else():
    assert clipfarm_encode.Encoder is Encoder
    with pytest.raises(AttributeError, match="nothing"):
        clipfarm_encode.nothing  # noqa: B018

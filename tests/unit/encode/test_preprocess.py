import pytest
import torch
from transformers.models.vjepa2.video_processing_vjepa2 import VJEPA2VideoProcessor

from clipfarm_encode.models.preprocess import normalise, resize_and_crop
from clipfarm_encode.models.vjepa2.model import VJEPA2
from clipfarm_encode.models.vjepa2.network import CONFIGS, VJEPA2Encoder

pytestmark = pytest.mark.torch


def vjepa2(crop):
    return VJEPA2(VJEPA2Encoder(CONFIGS["vjepa2_tiny16"])).preprocessing(crop)


@pytest.mark.parametrize(
    ("height", "width", "crop"),
    [
        (256, 256, 256),  # enlarged to 292
        (512, 512, 256),  # shrunk: antialiased
        (240, 320, 256),
        (321, 240, 256),  # 390 rows: 67 above, 67 below
        (101, 64, 64),  # 115 rows of which 51 are cut: an odd number
        (64, 64, 384),
        (48, 48, 32),
    ],
)
def test_pixels_are_those_of_the_reference(height, width, crop):
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=generator)
    processor = VJEPA2VideoProcessor(crop_size=crop)
    expected = processor(frames, return_tensors="pt").pixel_values_videos[0]
    found = normalise(resize_and_crop(frames, vjepa2(crop)))
    assert found.shape == expected.shape == (2, 3, crop, crop)
    assert (found - expected).abs().max() <= 1e-5  # one step of an 8-bit value is 0.017


def test_the_short_side_becomes_292_for_a_crop_of_256():
    assert vjepa2(256).resize == 292
    assert vjepa2(384).resize == 438


def test_the_layout_of_the_frames_in_memory_does_not_matter():
    frames = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    preprocessing = vjepa2(32)
    assert torch.equal(resize_and_crop(frames, preprocessing), resize_and_crop(frames.contiguous(), preprocessing))

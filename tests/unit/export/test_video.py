"""Frames to video: without loss, with the same bytes, and with key frames where a clip begins."""

import io

import av
import numpy as np
import pytest

from clipfarm_export.video import LOSSLESS, decode, encode, pixels_sha256, small

RNG = np.random.default_rng(0)


def noise(frames: int, height: int, width: int) -> list[np.ndarray]:
    return [RNG.integers(0, 256, (height, width, 3), np.uint8) for _ in range(frames)]


def key_frames(video: bytes) -> list[int]:
    with av.open(io.BytesIO(video)) as container:
        return [i for i, frame in enumerate(container.decode(video=0)) if frame.key_frame]


@pytest.mark.parametrize(("frames", "height", "width"), [(2, 16, 16), (33, 32, 48), (4, 17, 31), (1, 64, 64)])
def test_every_pixel_of_a_lossless_video_is_what_it_was_and_its_bytes_are_the_same_again(frames, height, width):
    pictures = noise(frames, height, width)
    video = encode(pictures, 30, LOSSLESS)
    assert all(np.array_equal(one, other) for one, other in zip(decode(video), pictures, strict=True))
    assert encode([each.copy() for each in pictures], 30, LOSSLESS) == video


@pytest.mark.parametrize("shape", [(32, 32), (33, 32), (17, 17)])
def test_a_video_for_people_has_the_same_bytes_again(shape):
    pictures = [np.full((*shape, 3), 100 + i, np.uint8) for i in range(20)]
    for i, picture in enumerate(pictures):
        picture[4 : 4 + i % 9, 5:14] = 200
    videos = {encode([each.copy() for each in pictures], 30, small(shape)) for _ in range(40)}
    assert len(videos) == 1


def test_each_16th_frame_is_a_key_frame_and_each_one_at_which_a_clip_begins():
    pictures = [np.full((32, 32, 3), 100, np.uint8) for _ in range(40)]
    for i, picture in enumerate(pictures):
        picture[4:8, i // 2 : i // 2 + 4] = 200
    assert key_frames(encode(pictures, 30, LOSSLESS)) == [0, 16, 32]
    assert key_frames(encode(pictures, 30, LOSSLESS, starts=[0, 10, 20, 30])) == [0, 10, 20, 30]


def test_the_hash_is_that_of_all_pixels():
    pictures = noise(3, 8, 8)
    changed = [each.copy() for each in pictures]
    changed[2][7, 7, 2] ^= 1
    assert pixels_sha256(pictures) != pixels_sha256(changed)
    assert pixels_sha256(pictures) == pixels_sha256(iter(pictures))

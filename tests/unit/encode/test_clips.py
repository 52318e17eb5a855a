import json

import numpy as np
import pytest
from PIL import Image

from clipfarm_contract.layout import Clip
from clipfarm_encode.clips import ClipError, find_clips, read_frames
from unit.encode.made_up import make_clip, make_frames


def truncate(clip, name, keep):
    path = clip.rgb / name
    path.write_bytes(path.read_bytes()[:keep])


def without_manifest(clip):
    clip.manifest.unlink()


def flip_a_byte(clip):
    path = clip.frame(1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def save(clip, i, image):
    image.save(clip.frame(i))


def resize_in_the_manifest(clip):
    """Make the clip.json agree with a frame of another size, as a renderer of the user's own could."""
    save(clip, 1, Image.new("RGB", (32, 48)))
    document = json.loads(clip.manifest.read_text())
    document["files"]["rgb/frame_00001.png"]["size"] = clip.frame(1).stat().st_size
    clip.manifest.write_text(json.dumps(document))


def test_frames_come_in_order_as_red_green_and_blue(tmp_path):
    clip = make_clip(tmp_path, 0, frames=4, size=16)
    frames = read_frames(clip)
    assert (frames.shape, frames.dtype) == ((4, 16, 16, 3), np.uint8)
    for i in range(4):
        assert (frames[i] == np.asarray(Image.open(clip.frame(i)))).all()


def test_a_folder_of_frames_is_enough_where_there_is_no_clip_json(tmp_path):
    clip = Clip(tmp_path / "clip_00000")
    clip.rgb.mkdir(parents=True)
    for i, mode in enumerate(("RGB", "RGBA", "L", "P")):
        Image.new(mode, (20, 10), 3).save(clip.rgb / f"rgba_{i:05d}.png")
    assert read_frames(clip).shape == (4, 10, 20, 3)


DAMAGE = {
    "truncated": (lambda c: truncate(c, "frame_00002.png", 100), "rgb/frame_00002.png: 100 bytes, expected "),
    "empty frame": (lambda c: truncate(c, "frame_00002.png", 0), "rgb/frame_00002.png: 0 bytes, expected "),
    "a flipped bit": (flip_a_byte, "rgb/frame_00001.png: damaged ("),
    "a frame gone": (lambda c: c.frame(3).unlink(), "rgb: 3 frames; the model takes them in pairs"),
    "two frames gone": (lambda c: (c.frame(3).unlink(), c.frame(2).unlink()), "rgb: 2 frames, expected 4"),
    "a frame of another name": (lambda c: c.frame(3).rename(c.rgb / "x.png"), "rgb/x.png: not in clip.json"),
    "another size": (resize_in_the_manifest, "rgb/frame_00001.png: 32 x 48 pixels, expected 48 x 48"),
    "broken clip.json": (lambda c: c.manifest.write_text("{"), "clip.json: not JSON"),
    "clip.json of the future": (lambda c: c.manifest.write_text('{"version": 99}'), "clip.json.version: found 99"),
}

DAMAGE_WITHOUT_MANIFEST = {
    "truncated": (lambda c: truncate(c, "frame_00002.png", 1000), "rgb/frame_00002.png: damaged (image file is trunc"),
    "only its end gone": (lambda c: truncate(c, "frame_00002.png", -4), "rgb/frame_00002.png: truncated"),
    "not a PNG": (lambda c: c.frame(0).write_text("hello"), "rgb/frame_00000.png: not a PNG"),
    "a JPEG by another name": (
        lambda c: Image.new("RGB", (48, 48)).save(c.frame(0), "JPEG"),
        "rgb/frame_00000.png: not a PNG",
    ),
    "another size": (
        lambda c: save(c, 1, Image.new("RGB", (32, 48))),
        "rgb/frame_00001.png: 32 x 48 pixels, expected 48 x 48",
    ),
    "16 bits": (lambda c: save(c, 1, Image.new("I;16", (48, 48))), "rgb/frame_00001.png: pixels of mode I;16"),
    "odd number": (lambda c: c.frame(3).unlink(), "rgb: 3 frames; the model takes them in pairs"),
    "no frames": (lambda c: [path.unlink() for path in c.rgb.iterdir()], "rgb: no frames"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_clip_is_refused_with_the_file_that_is_wrong(case, tmp_path):
    harm, message = DAMAGE[case]
    clip = make_clip(tmp_path, 0)
    harm(clip)
    with pytest.raises(ClipError) as caught:
        read_frames(clip)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("case", DAMAGE_WITHOUT_MANIFEST)
def test_a_damaged_folder_of_frames_is_refused_with_the_file_that_is_wrong(case, tmp_path):
    harm, message = DAMAGE_WITHOUT_MANIFEST[case]
    make_frames(tmp_path / "clip_00000")
    clip = Clip(tmp_path / "clip_00000")
    harm(clip)
    with pytest.raises(ClipError) as caught:
        read_frames(clip)
    assert str(caught.value).startswith(message)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ClipError, match="rgb: missing"):
        read_frames(Clip(tmp_path))


def test_clips_are_found_by_name_in_order_of_their_numbers(tmp_path):
    for name in ("clip_00010", "clip_00002", "clip_100000", ".clip_00003.a1", "clip_x", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "clip_00004").write_text("a file")
    assert [found.name for found in find_clips(tmp_path)] == ["clip_00002", "clip_00010", "clip_100000"]


def test_only_the_wanted_clips_are_found(tmp_path):
    for number in range(4):
        make_clip(tmp_path, number, frames=2, size=16)
    assert [found.name for found in find_clips(tmp_path, frozenset({1, 3, 9}))] == ["clip_00001", "clip_00003"]

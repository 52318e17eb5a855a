import json
import zlib

import numpy as np
import pytest
from PIL import Image

from clipfarm_contract.clip import FileEntry
from clipfarm_contract.layout import Clip
from clipfarm_encode.files.clips import ClipError, read_frames
from clipfarm_encode.files.finding import find_clips
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


def put_another_picture(clip):
    """Replace a frame by one of the same number of bytes."""
    size = clip.frame(1).stat().st_size
    save(clip, 1, Image.new("RGB", (48, 48), (1, 2, 3)))
    clip.frame(1).write_bytes(clip.frame(1).read_bytes().ljust(size, b"\0"))


def rename_in_the_manifest(clip):
    """Leave out the zeros in names, in the clip.json as well."""
    document = json.loads(clip.manifest.read_text())
    for i in range(4):
        clip.frame(i).rename(clip.rgb / f"frame_{i}.png")
        document["files"][f"rgb/frame_{i}.png"] = document["files"].pop(f"rgb/frame_{i:05d}.png")
    clip.manifest.write_text(json.dumps(document))


def add_chunk(path, kind, content, before=b"IDAT"):
    """Put a chunk into a PNG."""
    data = path.read_bytes()
    at = data.index(before) - 4
    chunk = len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)
    path.write_bytes(data[:at] + chunk + data[at:])


def sixteen_bits(path, colour_type):
    """Write a PNG of 16 bits a channel; Pillow cannot write one in colour."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    header = (48).to_bytes(4) * 2 + bytes((16, colour_type, 0, 0, 0))
    rows = zlib.compress((b"\0" + bytes(48 * channels * 2)) * 48)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    parts = (len(c).to_bytes(4) + kind + c + zlib.crc32(kind + c).to_bytes(4) for kind, c in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def animate(path):
    pictures = [Image.new("RGB", (48, 48), (i, i, i)) for i in (1, 99)]
    pictures[0].save(path, "PNG", save_all=True, append_images=pictures[1:])


def name_frames(clip, names):
    """Give the frames other names, in order."""
    for i, name in enumerate(names):
        clip.frame(i).rename(clip.rgb / name)


def resize_in_the_manifest(clip):
    """Make the clip.json agree with a frame of another size, as a renderer of the user's own could."""
    save(clip, 1, Image.new("RGB", (32, 48)))
    document = json.loads(clip.manifest.read_text())
    document["files"]["rgb/frame_00001.png"] = FileEntry.of(clip.frame(1)).to_json()
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


def test_frames_without_a_clip_json_come_in_order_of_their_numbers(tmp_path):
    clip = Clip(tmp_path / "clip_00000")
    clip.rgb.mkdir(parents=True)
    for i in range(12):
        Image.new("RGB", (16, 16), (i, 0, 0)).save(clip.rgb / f"frame_{i + 1}.{'PNG' if i == 5 else 'png'}")
    Image.new("RGB", (9, 9)).save(clip.rgb / ".frame_13.png")
    (clip.rgb / "notes_14.txt").write_text("no frame")
    assert read_frames(clip)[:, 0, 0, 0].tolist() == list(range(12))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_pictures_of_up_to_8_bits_are_taken_and_alpha_is_left_out(mode, tmp_path):
    clip = Clip(tmp_path / "clip_00000")
    clip.rgb.mkdir(parents=True)
    grey = Image.linear_gradient("L").resize((16, 16))
    picture = grey.convert("RGB").quantize(256) if mode == "P" else grey.convert(mode)
    if mode.endswith("A"):
        picture.putalpha(7)
    for i in range(2):
        save(clip, i, picture)
    expected = picture.convert("RGB") if mode in ("P", "1") else grey.convert("RGB")
    assert (read_frames(clip) == np.asarray(expected)).all()


def test_texts_profiles_and_bytes_behind_the_end_are_no_damage(tmp_path):
    make_frames(tmp_path / "clip_00000")
    clip = Clip(tmp_path / "clip_00000")
    before = read_frames(clip)
    much = zlib.compress(bytes(5 << 20))
    add_chunk(clip.frame(0), b"zTXt", b"comment\0\0" + much)
    add_chunk(clip.frame(1), b"iTXt", b"comment\0\1\0\0\0" + much)
    add_chunk(clip.frame(1), b"tEXt", b"comment\0" + b"x" * (3 << 20), before=b"IEND")
    add_chunk(clip.frame(2), b"iCCP", b"profile\0\0" + much)
    clip.frame(3).write_bytes(clip.frame(3).read_bytes() + b"\n")
    assert (read_frames(clip) == before).all()


DAMAGE = {
    "truncated": (lambda c: truncate(c, "frame_00002.png", 100), "rgb/frame_00002.png: 100 bytes, expected "),
    "empty frame": (lambda c: truncate(c, "frame_00002.png", 0), "rgb/frame_00002.png: 0 bytes, expected "),
    "a flipped bit": (flip_a_byte, "rgb/frame_00001.png: damaged (its SHA-256 is not the one in clip.json)"),
    "another picture": (put_another_picture, "rgb/frame_00001.png: damaged (its SHA-256 is not the one in clip.json)"),
    "other names": (rename_in_the_manifest, "rgb/frame_0.png: found in place of frame_00000.png"),
    "a frame gone": (lambda c: c.frame(3).unlink(), "rgb: 3 frames, expected 4"),
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
    "a flipped bit": (flip_a_byte, "rgb/frame_00001.png: damaged ("),
    "16 bits, grey": (lambda c: sixteen_bits(c.frame(1), 0), "rgb/frame_00001.png: 16 bits a channel, expected 8"),
    "16 bits": (lambda c: sixteen_bits(c.frame(1), 2), "rgb/frame_00001.png: 16 bits a channel, expected 8"),
    "16 bits, grey, alpha": (lambda c: sixteen_bits(c.frame(1), 4), "rgb/frame_00001.png: 16 bits a channel, expected"),
    "16 bits, alpha": (lambda c: sixteen_bits(c.frame(1), 6), "rgb/frame_00001.png: 16 bits a channel, expected 8"),
    "animated": (lambda c: animate(c.frame(1)), "rgb/frame_00001.png: an animated PNG, expected one picture"),
    "no number": (lambda c: name_frames(c, ["a.png", "b.png"]), "rgb/a.png: expected one number in its name"),
    "two numbers": (lambda c: name_frames(c, ["f_1_2.png"]), "rgb/f_1_2.png: expected one number in its name"),
    "a stray picture": (
        lambda c: (
            save(c, 4, Image.new("RGB", (48, 48))),
            c.frame(4).rename(c.rgb / "preview_4.png"),
            c.frame(3).unlink(),
        ),
        "rgb/preview_4.png: named unlike frame_00000.png, so their order is not known",
    ),
    "a gap": (
        lambda c: c.frame(2).rename(c.frame(7)),
        "rgb/frame_00003.png: follows on frame_00001.png; frames are missing",
    ),
    "a number twice": (
        lambda c: c.frame(3).rename(c.rgb / "frame_2.png"),
        "rgb/frame_2.png: has the same number as frame_00002.png",
    ),
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

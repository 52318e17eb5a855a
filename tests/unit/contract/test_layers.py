"""The readers of layers, against the libraries that other people write such files with."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from clipfarm_contract import layers
from clipfarm_contract.fields import ContractError

NOISE = np.random.default_rng(0).integers(0, 256, (13, 17), dtype=np.uint8)


@pytest.mark.parametrize("dtype", ["<f4", "<f2", "|u1", "<f8"])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2), (1, 1, 3)])
def test_a_npy_file_gives_the_values_that_numpy_has_written(tmp_path, dtype, shape):
    written = (np.arange(np.prod(shape)).reshape(shape) * 1.5).astype(dtype)
    np.save(path := tmp_path / "a.npy", written)
    read = layers.read(path)
    assert read.shape == shape
    assert (np.asarray(read.values).reshape(read.shape) == written).all()
    assert read.at(0, 0) == tuple(np.atleast_1d(written[0, 0]))


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_of_png_is_undone(tmp_path, kind):
    rows, above = [], np.zeros(17, np.uint8)
    for row in NOISE:
        left = np.concatenate([[0], row[:-1]]).astype(int)
        corner = np.concatenate([[0], above[:-1]]).astype(int)
        up = above.astype(int)
        estimate = left + up - corner
        choices = np.stack([left, up, corner])
        paeth = choices[np.abs(choices - estimate).argmin(axis=0), np.arange(17)]
        guess = (np.zeros(17, int), left, up, (left + up) // 2, paeth)[kind]
        rows.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
        above = row
    (path := tmp_path / "a.png").write_bytes(png(b"".join(rows)))
    with Image.open(path) as image:
        assert (np.asarray(image) == NOISE).all(), "the picture of this test is a good one"
    read = layers.read(path)
    assert (np.asarray(read.values).reshape(read.shape) == NOISE).all()


def png(pixels: bytes, kind=(8, 0, 0, 0, 0)) -> bytes:
    header = (17).to_bytes(4, "big") + (13).to_bytes(4, "big") + bytes(kind)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    packed = [
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big") for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def coloured() -> bytes:
    Image.new("RGB", (17, 13)).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def fortran() -> bytes:
    np.save(file := io.BytesIO(), np.asfortranarray(np.ones((2, 3), np.float32)))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.png", png(b"\x07" + bytes(17)) + b"", "18 bytes of pixels, expected 234"),
        ("a.png", png((b"\x07" + bytes(17)) * 13), "found filter 7, expected 0 to 4"),
        ("a.png", coloured(), "expected 8-bit grey"),
        ("a.npy", fortran(), "columns come first"),
        ("a.npy", b"\x93NUMPY\x01\x00\x03\x00{}\n", "its head is damaged: 'shape'"),
    ],
)
def test_what_is_no_layer_is_said_in_one_line(tmp_path, name, data, problem):
    (path := tmp_path / name).write_bytes(data)
    with pytest.raises(ContractError) as raised:
        layers.read(path)
    assert str(raised.value) == f"{name}: not a layer ({problem})"

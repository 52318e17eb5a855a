"""The layers of a frame: what their values mean, and how their files become values again.

Every value is that of the ray through the middle of its pixel, and of what this ray meets first. Pixels count from
the upper left corner: x to the right, y down, and the middle of the first is (0.5, 0.5). World axes are those of
``ground_truth.json``, whose camera has the intrinsics and the pose.

=================== ============================ =====================================================================
layer               file                         value
=================== ============================ =====================================================================
segmentation        segmentation/seg_00000.png   (height, width) uint8: ``NOTHING``, ``FLOOR``, ``WALL``, ``FIXTURE``,
                                                 or the number of a body (:func:`body_number`); ``THING`` is the first
flow                flow/flow_00000.npy          (height, width, 2) float32: where the point that is seen moves to by
                                                 the next frame, x and y in pixels; of the last frame too
depth               depth/depth_00000.npy        (height, width) float32: distance along the camera's axis (not along
                                                 the ray), m; infinite where there is nothing
normal              normal/normal_00000.npy      (height, width, 3) float16: unit vector out of the surface, world axes;
                                                 0 where there is nothing
object_coordinates  object_coordinates/          (height, width, 3) float16: place on the object in its own axes, 0 to 1
                    object_coordinates_00000.npy from one side of its box (``object.bounds``) to the other; 0 elsewhere
=================== ============================ =====================================================================

Readers here need the standard library alone. What they return has the buffer protocol, so NumPy takes it over
without a copy: ``numpy.asarray(layer.values).reshape(layer.shape)``. ``numpy.load`` reads the .npy files as well.
"""

import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError
from clipfarm_contract.npy import Head

NOTHING, THING, FLOOR, WALL, FIXTURE = range(5)
"""Values of the segmentation. A fixture stands still, such as a ramp or a screen."""
MOST_BODIES = 200
"""Far above any use; their numbers fit into 8 bits."""

_PNG = b"\x89PNG\r\n\x1a\n"


def body_number(body: int) -> int:
    """Return the value of a clip's body in the segmentation: 1 for body 0, then 11, 12, ... for bodies 1, 2, ..."""
    return THING if body == 0 else 10 + body


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of one frame."""

    shape: tuple[int, ...]
    """(height, width) or (height, width, values a pixel)"""
    values: array  # type: ignore[type-arg]  # of floats, or of whole numbers for a segmentation
    """All values, row by row from the top."""

    def at(self, x: int, y: int) -> tuple[float, ...]:
        """Return the values of the pixel in column ``x`` and row ``y``.

        Raises:
            IndexError: the picture has no such pixel.
        """
        height, width, *rest = self.shape
        if not (0 <= x < width and 0 <= y < height):
            raise IndexError(f"pixel ({x}, {y}): expected less than ({width}, {height})")
        depth = rest[0] if rest else 1
        start = (y * width + x) * depth
        return tuple(self.values[start : start + depth])


MOST_BYTES = 2**30
"""Four numbers of 8 bytes for each pixel of 4096 x 4096 take half of it."""


def read(path: Path) -> Layer:
    """Read a layer's file, by its name's ending.

    Raises:
        OSError: the file cannot be read.
        ContractError: it is not such a file.
    """
    data = regular.read(path, path.name, MOST_BYTES)
    try:
        return _read_png(data) if path.suffix == ".png" else _read_npy(data)
    except (ContractError, struct.error, zlib.error) as error:
        raise ContractError(f"{path.name}: not a layer ({error})") from error


def _read_npy(data: bytes) -> Layer:
    head = Head.parse(data)
    body = data[head.start :]
    if len(body) != head.value_bytes:
        raise ContractError(f"{len(body)} bytes of values, expected {head.value_bytes}")
    # The standard library has no arrays of half floats.
    kind = "f" if head.item == "e" else head.item
    return Layer(head.shape, array(kind, struct.unpack(f"<{head.count}{head.item}", body)))


def _read_png(data: bytes) -> Layer:
    """Read an 8-bit greyscale PNG (ISO/IEC 15948), not interlaced."""
    if not data.startswith(_PNG):
        raise ContractError("it does not begin as a PNG does")
    chunks = list(_chunks(data))
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    if kind != [8, 0, 0, 0, 0]:
        raise ContractError("expected 8-bit grey")
    packed = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    if len(packed) != height * (width + 1):
        raise ContractError(f"{len(packed)} bytes of pixels, expected {height * (width + 1)}")
    pixels = bytearray()
    above = bytes(width)
    for row in range(height):
        line = bytearray(packed[row * (width + 1) + 1 : (row + 1) * (width + 1)])
        _undo_filter(packed[row * (width + 1)], line, above)
        pixels += line
        above = bytes(line)
    return Layer((height, width), array("B", bytes(pixels)))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_PNG)
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        (crc,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(name + body) != crc:
            raise ContractError("a checksum is wrong")
        yield name, body
        position += 12 + length


def _undo_filter(kind: int, line: bytearray, above: bytes) -> None:
    """Undo one of the five filters that a PNG's lines go through before they are packed."""
    for i in range(len(line)):
        left, up = line[i - 1] if i else 0, above[i]
        match kind:
            case 0:
                return
            case 1:
                guess = left
            case 2:
                guess = up
            case 3:
                guess = (left + up) // 2
            case 4:
                guess = _paeth(left, up, above[i - 1] if i else 0)
            case _:
                raise ContractError(f"found filter {kind}, expected 0 to 4")
        line[i] = (line[i] + guess) % 256


def _paeth(left: int, up: int, corner: int) -> int:
    """Return whichever of the three is nearest to left + up - corner; of equals, the first."""
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))

"""Which clips a folder holds, and the frames of one."""

import io
import os
import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import Clip

Frames = NDArray[np.uint8]
"""(frames, height, width, 3), RGB."""

_NAME = re.compile(r"clip_(\d+)")
# The last chunk of every PNG. Pillow takes a file without it as long as all the pixels are there.
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_MODES = ("RGB", "RGBA", "L", "P")  # all of 8 bits; more would lose their upper half in the conversion


class ClipError(ValueError):
    """A clip cannot be encoded; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Found:
    """A clip's folder as a listing shows it."""

    name: str
    inode: int
    """Tells a clip from another that took its place under the same name."""
    path: Path

    @property
    def clip(self) -> Clip:
        """Where the clip's files lie."""
        return Clip(self.path)

    def is_one_of(self, wanted: Container[int] | None) -> bool:
        """Tell whether the clip's number is wanted; all are where None is."""
        return wanted is None or self.order[0] in wanted

    @property
    def order(self) -> tuple[int, str]:
        """Sorts clips by their numbers."""
        return int(self.name.removeprefix("clip_")), self.name


def found_in(entry: os.DirEntry[str]) -> Found | None:
    """Return the clip that an entry of a listing is: a folder named ``clip_<number>``."""
    if not _NAME.fullmatch(entry.name) or not entry.is_dir():
        return None
    return Found(entry.name, entry.inode(), Path(entry.path))


def _new_array(shape: tuple[int, ...]) -> Frames:
    return np.empty(shape, np.uint8)


def find_clips(root: Path, wanted: Container[int] | None = None) -> list[Found]:
    """Return the clips in a folder, in order of their numbers; one listing, no look inside.

    Only those whose numbers are ``wanted``, where that is given.

    Raises:
        OSError: the folder cannot be listed.
    """
    with os.scandir(root) as entries:
        found = [each for entry in entries if (each := found_in(entry)) and each.is_one_of(wanted)]
    return sorted(found, key=lambda each: each.order)


def read_frames(clip: Clip, allocate: Callable[[tuple[int, ...]], Frames] = _new_array) -> Frames:
    """Decode a clip into the array that ``allocate`` returns for its shape.

    With a ``clip.json``, number, size and bytes of the frames are held against it. Without one, as in folders that
    clipfarm did not make, all of ``rgb/*.png`` are taken in order of their names.

    Raises:
        ClipError: a frame is missing, damaged, or unlike the others.
    """
    try:
        manifest = ClipManifest.read(clip.manifest)
    except FileNotFoundError:
        return _stack(clip, _paths(clip), None, allocate)
    except OSError as error:
        raise ClipError(f"clip.json: {error.strerror}") from None
    except ContractError as error:
        raise ClipError(str(error)) from None
    scene = manifest.recipe.scene
    paths = _paths(clip)
    if len(paths) != scene.frames:
        raise ClipError(f"rgb: {len(paths)} frames, expected {scene.frames}")
    for path in paths:
        entry = manifest.files.get(f"rgb/{path.name}")
        if entry is None:
            raise ClipError(f"rgb/{path.name}: not in clip.json")
        if (size := path.stat().st_size) != entry.size:
            raise ClipError(f"rgb/{path.name}: {size} bytes, expected {entry.size}")
    return _stack(clip, paths, scene.resolution, allocate)


def _paths(clip: Clip) -> list[Path]:
    try:
        paths = sorted(clip.rgb.glob("*.png"))
    except OSError as error:
        raise ClipError(f"rgb: {error.strerror}") from None
    if not paths:
        raise ClipError("rgb: no frames" if clip.rgb.is_dir() else "rgb: missing")
    if len(paths) % 2:
        raise ClipError(f"rgb: {len(paths)} frames; the model takes them in pairs")
    return paths


def _stack(
    clip: Clip, paths: list[Path], resolution: int | None, allocate: Callable[[tuple[int, ...]], Frames]
) -> Frames:
    """Decode frames into one array; all have to be of ``resolution``, or of the first one's size."""
    first = _decode(paths[0])
    height, width = (resolution, resolution) if resolution else first.shape[:2]
    frames = allocate((len(paths), height, width, 3))
    for i, path in enumerate(paths):
        frame = first if i == 0 else _decode(path)
        if frame.shape != frames.shape[1:]:
            found = f"{frame.shape[1]} x {frame.shape[0]}"
            raise ClipError(f"rgb/{path.name}: {found} pixels, expected {width} x {height}")
        frames[i] = frame
    return frames


def _decode(path: Path) -> Frames:
    """Decode one PNG.

    Pillow, not torchvision: its decoder (0.29) brings the whole process down with a segmentation fault when a byte of
    the compressed pixels is wrong. Both are as fast.
    """
    where = f"rgb/{path.name}"
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode not in _MODES:
                raise ClipError(f"{where}: pixels of mode {image.mode}, expected 8-bit RGB")
            pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except FileNotFoundError:
        raise ClipError(f"{where}: missing") from None
    except UnidentifiedImageError:
        raise ClipError(f"{where}: not a PNG") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, ClipError):
            raise
        raise ClipError(f"{where}: damaged ({error})") from None
    if not data.endswith(_PNG_END):
        raise ClipError(f"{where}: truncated")
    return pixels

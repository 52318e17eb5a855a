"""Videos that tests make."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

STEP = 6
"""Levels of grey from one frame of a made-up video to the next."""
KINDS = {"x.mp4": "libx264", "x.webm": "libvpx-vp9", "x.avi": "mpeg4", "x.mkv": "libx264"}


def make_video(
    path: Path, *, frames: int = 40, rate: int = 30, at: Callable[[int], int] | None = None, title: str = ""
) -> Path:
    """Write a video whose frames are grey, and brighter from one to the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = title
        stream = container.add_stream(KINDS[f"x{path.suffix}"], rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 8_000_000
        if at is not None:
            stream.codec_context.time_base = Fraction(1, 1000)  # otherwise times are rounded to frames of the head
        if path.suffix != ".avi":
            stream.options = {"g": "12"}  # a frame in twelve can be decoded without the ones before
        for i in range(frames):
            grey = np.full((48, 64, 3), STEP * i, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            if at is not None:
                frame.pts, frame.time_base = at(i), Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def make_pictures(folder: Path, count: int = 12, suffix: str = ".jpg") -> Path:
    """Write a folder of pictures, brighter from one to the next."""
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.full((48, 64, 3), STEP * i, np.uint8)).save(folder / f"img{i}{suffix}")
    return folder

"""Frames to video and back, by FFmpeg's libraries as PyAV brings them.

Measured on clips of 32 frames of 256 x 256 pixels: docs/export.md has the table.
"""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""(height, width, 3), RGB."""
KEY_FRAME_EVERY = 16
"""Frames: so a reader that wants frame 20 decodes 5 of them. Every frame a key frame would take twice the bytes."""
_SAME = {"threads": "1", "g": str(KEY_FRAME_EVERY), "preset": "medium"}
"""One thread, because x264's output depends on their number."""
LOSSLESS = ("libx264rgb", "rgb24", _SAME | {"crf": "0"})
"""H.264 High 4:4:4 Predictive in RGB: nothing is converted, nothing is lost."""
# x264's macroblock tree, as its assembler computes it, gives other bytes now and then: 16 of 300 times for the same
# frames. Without it all 300 are the same. Frames without loss do not use it.
_REPEATABLE = _SAME | {"crf": "18", "x264-params": "mbtree=0"}
SMALL = ("libx264", "yuv420p", _REPEATABLE)
"""What every browser and player shows."""
SMALL_ODD = ("libx264", "yuv444p", _REPEATABLE)
"""For an odd width or height, which yuv420p does not have."""

Codec = tuple[str, str, dict[str, str]]


def encode(
    frames: Iterable[Frame], fps: int, codec: Codec, into: Path | None = None, starts: Iterable[int] = ()
) -> bytes:
    """Return an MP4 of frames, or write it into a file and return nothing.

    The same frames give the same bytes, with the same versions of FFmpeg and x264.

    Args:
        frames: of one size, one after the other; only a few are in memory at a time.
        fps: frames a second.
        codec: one of this module.
        into: the file. Then what a player needs stands at its beginning.
        starts: numbers of further frames that must be key frames, because another clip begins there.
    """
    name, pixels, options = codec
    memory = io.BytesIO()
    flags = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if into else {})
    key_frames = frozenset(starts)
    with av.open(str(into) if into else memory, "w", format="mp4", options=flags) as container:
        stream: Any = container.add_stream(name, rate=fps, options=options)
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, fps)
        for number, frame in enumerate(frames):
            if number == 0:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = number
            if number in key_frames:
                picture.pict_type = av.video.frame.PictureType.I
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return memory.getvalue()


def small(shape: tuple[int, ...]) -> Codec:
    """Return the codec of a video for people, for frames of a shape."""
    return SMALL if not (shape[0] % 2 or shape[1] % 2) else SMALL_ODD


def decode(video: bytes | Path, first: int = 0) -> Iterator[Frame]:
    """Return the frames of a video, one after the other, from the one with the number ``first``.

    Raises:
        av.FFmpegError: it is damaged.
    """
    source: Any = str(video) if isinstance(video, Path) else io.BytesIO(video)
    with av.open(source) as container:
        stream: Any = container.streams.video[0]
        # Threads would take longer to start than these small frames to decode.
        stream.codec_context.thread_count = 1
        begin = round(first / stream.average_rate / stream.time_base)
        if first:
            container.seek(begin, stream=stream)  # to the key frame before it
        for frame in container.decode(video=0):
            if frame.pts is None or frame.pts >= begin:
                yield frame.to_ndarray(format="rgb24")


def pixels_sha256(frames: Iterable[Frame]) -> str:
    """Return the SHA-256 of all frames' RGB bytes, row by row, one frame after the other."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()


def counted(frames: Iterable[Frame], see: Callable[[bytes], None]) -> Iterator[Frame]:
    """Pass frames on, and show each one's bytes to ``see`` on their way."""
    for frame in frames:
        see(np.ascontiguousarray(frame).tobytes())
        yield frame

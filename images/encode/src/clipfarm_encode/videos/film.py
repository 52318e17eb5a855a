"""A video file by PyAV: how long it is, and frames of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipfarm_encode.videos.error import VideoError
from clipfarm_encode.videos.sampling import SHARE_OF_A_FRAME, lasting, lateness, times, true_rate

if TYPE_CHECKING:
    import av

SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts")
LEAST_BYTES = 16
"""Of a frame, with its entry in an index. A head that promises more frames than fit was never completed: its recorder
was switched off, for example."""
LISTS = ("concat", "dash", "hls")
"""FFmpeg's names of what names other files. These may be anywhere, and change without it."""
ALONE = {"protocol_whitelist": "file"}
"""FFmpeg's option that no file makes it read from a network."""
Picture = NDArray[np.uint8]


def length(path: Path) -> tuple[int, float]:
    """Return how many frames a video has, and how many a second.

    The file's head says it if it can; otherwise its packets are counted, which decodes none. A Matroska or WebM file
    has the times of its frames, and in its head no more than the rate that its writer expected: if they differ, the
    rate is that of the times.

    Raises:
        VideoError: it is no video, or its head says no rate.
    """
    with _Opened(path) as (container, stream):
        rate = _rate(stream)
        if not rate:
            raise VideoError("its frames a second are not known")
        frames = stream.frames
        if not 0 < frames <= path.stat().st_size / LEAST_BYTES:
            frames, moments = _counted(container, stream)
            if moments and _head_may_err(container):
                rate = true_rate(moments, rate)
        if frames < 1:
            raise VideoError("it has no frame")
        return frames, rate


def read_film(path: Path, first: int, frames: int, fps: float) -> Iterator[Picture]:
    """Yield frames of a video as (height, width, 3) RGB: those shown at ``first / fps`` s, and each ``1 / fps`` s on.

    One at a time, because a frame of a large video has megabytes.

    Raises:
        VideoError: it cannot be decoded, or ends before the last.
    """
    wanted = times(first, frames, fps)
    if first:
        try:
            yield from _shown(path, wanted, seek=True)
        except _PassedError:
            pass
        else:
            return
    yield from _shown(path, wanted, seek=False)


class _PassedError(Exception):
    """Seeking went past the first frame."""


def _shown(path: Path, wanted: list[float], *, seek: bool) -> Iterator[Picture]:
    """Yield the pictures shown at some times.

    Raises:
        _PassedError: before the first of them.
    """
    found = 0
    with _Opened(path) as (container, stream):
        rate = _rate(stream) or 1.0
        errs, tick = _head_may_err(container), float(stream.time_base)
        late, lasts = SHARE_OF_A_FRAME / rate, 1 / rate
        origin = float((stream.start_time or 0) * stream.time_base)
        if seek:
            container.seek(int((origin + wanted[0]) / stream.time_base), stream=stream)
        shown: Any = None
        moment = 0.0
        for number, frame in enumerate(container.decode(stream)):
            before = moment
            if frame.time is not None:
                moment = frame.time - origin
            elif not seek:
                moment = number / rate
            elif found:
                moment += 1 / rate
            else:
                raise _PassedError  # frames without times can only be counted from the beginning
            if errs and shown is not None:
                apart = moment - before
                # A clip may end with the last frame, whose time the head may say too short.
                late, lasts = lateness(apart, rate, tick), max(lasting(apart, rate), apart)
            while found < len(wanted) and moment > wanted[found] + late:
                if shown is None and seek:
                    raise _PassedError
                yield _picture(frame if shown is None else shown)
                found += 1
            if found == len(wanted):
                return
            shown = frame
        while shown is not None and found < len(wanted) and wanted[found] < moment + lasts - late:
            yield _picture(shown)
            found += 1
    if found < len(wanted):
        raise VideoError(f"it ends after {found} of the clip's {len(wanted)} frames")


def _counted(container: Any, stream: Any) -> tuple[int, list[float]]:
    """Return how many frames there are, and when they are shown, seconds, ascending; empty if some have no time."""
    times = [packet.pts for packet in container.demux(stream) if packet.size > 0]
    tick = float(stream.time_base)
    return len(times), [] if None in times else [each * tick for each in sorted(times)]


def _head_may_err(container: Any) -> bool:
    """Return whether a file has the times of its frames, and in its head a rate that may have nothing to do with them.

    Other containers compute the rate from the times, or have no times.
    """
    return "matroska" in container.format.name


def _rate(stream: Any) -> float:
    """Return how many frames a second the head of a video says; 0 if it says nothing."""
    return float(stream.average_rate or stream.guessed_rate or stream.base_rate or 0)


def _picture(frame: "av.VideoFrame") -> Picture:
    """Return a frame as it is to be shown: a phone's video may have to be turned."""
    picture = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return np.rot90(picture, frame.rotation // 90) if frame.rotation else picture


class _Opened:
    """A file and its first stream of pictures; all that FFmpeg says of it becomes a VideoError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> tuple[Any, Any]:
        import av  # here, because it takes a third of a second, and most encoders decode no video

        self._errors: type[Exception] = av.error.FFmpegError
        try:
            # A title may be in any encoding, and says nothing of the pictures.
            self._container = av.open(str(self._path), metadata_errors="replace", options=ALONE)
        except av.error.FFmpegError as error:
            raise VideoError(_reason(error)) from None
        if problem := _problem(self._container):
            self._container.close()
            raise VideoError(problem)
        cover = av.stream.Disposition.attached_pic
        moving = [each for each in self._container.streams.video if not each.disposition & cover]
        if not moving:
            self._container.close()
            raise VideoError("it has sound at most, and no pictures")
        stream = moving[0]
        stream.codec_context.thread_count = 1  # there is a process for each core
        return self._container, stream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._container.close()
        if isinstance(error, self._errors):
            raise VideoError(_reason(error)) from None


def _problem(container: Any) -> str | None:
    """Return why no stream of a file is to be used; None if one may be."""
    if container.format.name in LISTS:
        return "it is a list of other files, expected a video"
    if container.streams.video or container.streams.audio:
        return None
    return "it has neither pictures nor sound; it may not have been copied completely"


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
